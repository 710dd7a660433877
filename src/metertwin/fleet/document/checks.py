"""What a fleet file asks for, against what there is: names, placements, images."""

from collections.abc import Sequence

from metertwin.core.documents.place import Place, suggestion
from metertwin.core.documents.scalars import shown
from metertwin.core.ids import GroupId, SiteId
from metertwin.fleet.document.form import AppEntry, FleetFile, GroupEntry, SiteEntry, key_of
from metertwin.fleet.document.known import Known
from metertwin.fleet.roles import FLEET, GATEWAY
from metertwin.fleet.runtimes.spec import Limits


def check_against(known: Known, file: FleetFile, root: Place) -> None:
    """Note what cannot be, each at its place in the document."""
    _check_image(known, file.image, _at(root, "image"))
    for name, site in file.sites.items():
        place = _at(root, "sites", name)
        if name not in known.sites:
            place.wrong(_unknown("site", name, known.sites))
        else:
            _check_roles(known, SiteId(name), site, place)
        _check_image(known, site.image, _at(place, "image"))
    for app_place, app in _apps(file.apps, _at(root, "apps")):
        _check_app(
            app, sorted({name for each in known.apps_of.values() for name in each}), app_place
        )
    for name, group in file.groups.items():
        place = _at(root, "groups", name)
        if name in known.home_of:
            _check_group(known, GroupId(name), group, place)
        else:
            place.wrong(_unknown("group", name, tuple(known.home_of)))
    _check_one_image(known, file, root)


def site_wanted(known: Known, group: GroupId, entry: GroupEntry) -> SiteId:
    """Return where a group is wanted: where it says, else at home."""
    return known.home_of[group] if entry.at is None else SiteId(entry.at)


def image_wanted(known: Known, file: FleetFile, site: SiteId, entry: GroupEntry) -> str:
    """Return what a group at a site is wanted to run from."""
    return entry.image or file.image_of(site) or known.image


def _check_group(known: Known, group: GroupId, entry: GroupEntry, place: Place) -> None:
    home = known.home_of[group]
    at = _at(place, "at")
    if entry.at is not None and entry.at not in known.sites:
        at.wrong(_unknown("site", entry.at, known.sites))
    elif entry.at not in (None, home, known.cloud):
        at.wrong(
            f"Group {group} cannot run at {entry.at}: its meters are read at {home}; write {home} "
            f"or {known.cloud}."
        )
    _check_image(known, entry.image, _at(place, "image"))
    for app_place, app in _apps(entry.apps, _at(place, "apps")):
        _check_app(app, known.apps_of[group], app_place)


def _check_roles(known: Known, site: SiteId, entry: SiteEntry, place: Place) -> None:
    roles = known.roles_of[site]
    for role in (GATEWAY, FLEET):
        if role not in roles and entry.resources.limits_of(role) != Limits():
            why = "no meters are read there" if role == GATEWAY else "no edges connect there"
            _at(place, "resources", key_of(role)).wrong(
                f"Site {site} has no part {role}: {why}; take this key out."
            )


def _check_one_image(known: Known, file: FleetFile, root: Place) -> None:
    """A site has one twin host, so that groups at one site run from one image."""
    first: dict[SiteId, tuple[str, str]] = {}
    for group in known.home_of:
        entry = file.groups.get(group, GroupEntry())
        site = site_wanted(known, group, entry)
        image = image_wanted(known, file, site, entry)
        other, other_image = first.setdefault(site, (group, image))
        if image != other_image:
            named = group if entry.image is not None else other
            _at(root, "groups", named, "image").wrong(
                f"Group {group} would run from {image} and {other} from {other_image}, both at "
                f"{site}, whose twin host has one image; give the site that image, or leave it out."
            )


def _check_app(app: AppEntry, names: Sequence[str], place: Place) -> None:
    if app.name not in names:
        place.wrong(
            f"The site's settings have no app {shown(app.name)}{suggestion(app.name, names)}. Its "
            "grants and settings have to stand there."
        )


def _check_image(known: Known, image: str | None, place: Place) -> None:
    if image is not None and known.images is not None and image not in known.images:
        place.wrong(
            f"There is no image {image} here{suggestion(image, sorted(known.images))}. Make it "
            f"with `metertwin image build --tag {image}`."
        )


def _unknown(what: str, name: str, names: Sequence[str]) -> str:
    return f"There is no {what} {shown(name)}{suggestion(name, names)}."


def _apps(apps: tuple[AppEntry, ...] | None, place: Place) -> list[tuple[Place, AppEntry]]:
    return [(_at(place, number), app) for number, app in enumerate(apps or ())]


def _at(place: Place, *keys: str | int) -> Place:
    """Return the place below another, or the nearest one above it that is written."""
    for key in keys:
        content = place.node.content
        if isinstance(content, dict) and isinstance(key, str) and key in content:
            place = place.entries("keys")[key]
        elif isinstance(content, list) and isinstance(key, int):
            place = place.items("items")[key]
    return place
