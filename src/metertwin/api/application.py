"""The web application: resources, errors, OpenAPI, behind the gate."""

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.types import ControllerRouterHandler

from metertwin import __version__
from metertwin.api.context import ApiContext
from metertwin.api.gate import Gate
from metertwin.api.problems import (
    on_http_error,
    on_known_error,
    on_unexpected_error,
    on_validation_error,
)
from metertwin.api.resources.commands import give_command, show_command
from metertwin.api.resources.events import list_events
from metertwin.api.resources.history import list_registers, show_history
from metertwin.api.resources.intervals import show_intervals
from metertwin.api.resources.ledger import show_ledger
from metertwin.api.resources.outputs import list_group_outputs, list_outputs
from metertwin.api.resources.requests import ask_twin, ask_whole_group
from metertwin.api.resources.site import list_groups, show_health, show_metrics
from metertwin.api.resources.stream import follow
from metertwin.api.resources.twins import change_desired, list_twins, show_latest, show_twin
from metertwin.api.resources.usage import export_usage
from metertwin.api.strictness import refuse_unknown_parameters
from metertwin.core.errors import MeterTwinError

_BODY_LIMIT_BYTES = 65_536  # the largest body we know how to use is under 10 kB
_HANDLERS: list[ControllerRouterHandler] = [
    list_twins,
    show_twin,
    show_latest,
    change_desired,
    ask_twin,
    show_history,
    list_registers,
    list_events,
    list_outputs,
    list_group_outputs,
    show_intervals,
    export_usage,
    ask_whole_group,
    give_command,
    show_command,
    show_ledger,
    follow,
    list_groups,
    show_health,
    show_metrics,
]


def build_application(context: ApiContext, token: str) -> Gate:
    """Return the ASGI application that serves `context` to whoever has the token."""
    application = Litestar(
        route_handlers=_HANDLERS,
        dependencies={"context": Provide(lambda: context, sync_to_thread=False)},
        exception_handlers={
            MeterTwinError: on_known_error,
            ValidationException: on_validation_error,
            HTTPException: on_http_error,
            Exception: on_unexpected_error,
        },
        before_request=refuse_unknown_parameters,
        openapi_config=_openapi(),
        request_max_body_size=_BODY_LIMIT_BYTES,
        logging_config=None,
        # The terminal's own signal handling and debugger are for development.
        debug=False,
    )
    return Gate(application, token, context.metrics)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="MeterTwin",
        version=__version__,
        description=(
            "Digital twins of smart meters. Every value carries captured_at, quality, origin and "
            "age. Errors are RFC 9457 problem documents with a stable `code`."
        ),
        path="/",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        security=[{"token": []}],
        components=Components(
            security_schemes={
                "token": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="The token in secrets/api.token of the site's state directory.",
                )
            }
        ),
        tags=[
            Tag(name="twins", description="What meters say and what is wanted of them."),
            Tag(name="history", description="What meters said before."),
            Tag(name="apps", description="What apps concluded."),
            Tag(name="commands", description="Telling a meter what to do."),
            Tag(name="events", description="What happened, then and now."),
            Tag(name="ledger", description="Proof that nothing was lost."),
            Tag(name="site", description="Groups, health, figures."),
        ],
        use_handler_docstrings=True,
    )
