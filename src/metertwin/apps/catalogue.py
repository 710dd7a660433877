"""Which apps are installed: found by entry point, made for a group."""

from importlib.metadata import EntryPoint, entry_points

from metertwin.apps.app import ENTRY_POINTS, App, AppFactory, AppInfo, AppSettings, UnknownAppError


def app_names() -> list[str]:
    """Return the names of all installed apps, sorted."""
    return sorted({found.name for found in entry_points(group=ENTRY_POINTS)})


def find_factory(name: str) -> AppFactory:
    """Return the factory of an app.

    Raises:
        UnknownAppError: None is installed under that name, several are, or it cannot be loaded.
    """
    found: dict[str, EntryPoint] = {
        each.value: each for each in entry_points(group=ENTRY_POINTS, name=name)
    }
    if not found:
        raise UnknownAppError(
            f"No installed package has an app {name!r}; there are "
            f"{', '.join(app_names()) or 'none'}. Install its package beside MeterTwin.",
            app=name,
        )
    if len(found) > 1:
        raise UnknownAppError(
            f"Several installed packages have an app {name!r}: {', '.join(sorted(found))}; "
            "uninstall all but one.",
            app=name,
        )
    (entry_point,) = found.values()
    try:
        factory: AppFactory = entry_point.load()
    except Exception as error:
        raise UnknownAppError(
            f"App {name!r} ({entry_point.value}) cannot be loaded: "
            f"{type(error).__name__}: {error}. Install it again, with what it depends on.",
            app=name,
        ) from error
    return factory


def info_of_factory(factory: AppFactory) -> AppInfo | None:
    """Return what an app says of itself before it is made, if its factory says it."""
    info = getattr(factory, "info", None)
    return info if isinstance(info, AppInfo) else None


def make_app(name: str, version: str, settings: AppSettings) -> App:
    """Make an app for a group.

    Args:
        name: As in its entry point.
        version: The version wanted; empty: whichever is installed.
        settings: What the site says of it.

    Raises:
        UnknownAppError: It is not installed in that version, or cannot be loaded.
        AppSettingsError: Its configuration cannot be used.
    """
    app = find_factory(name)(settings)
    if app.info.name != name or version not in ("", app.info.version):
        wanted = f"{name} {version}".strip()
        raise UnknownAppError(
            f"App {wanted!r} is wanted, installed under that name is {app.info.name} "
            f"{app.info.version}. Install the wanted version, or name this one.",
            app=name,
            version=app.info.version,
        )
    return app
