"""Names of the interface classes' attributes and methods, for both sides of an association.

Numbers and order as in the DLMS UA Blue Book's class tables, checked against the object lists of
captured meters. Attribute 1 is the logical name of every class.
"""

from dataclasses import dataclass

from metertwin.core.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class InterfaceClass:
    """One interface class in one version.

    Args:
        class_id: Its number.
        version: Its version.
        name: As the Blue Book writes it.
        attributes: Names of attributes 1, 2, ...
        methods: Names of methods 1, 2, ...
    """

    class_id: int
    version: int
    name: str
    attributes: tuple[str, ...]
    methods: tuple[str, ...] = ()

    def attribute_number(self, name: str) -> int:
        """Return the number of the attribute called `name`.

        Raises:
            NotFoundError: The class has no such attribute.
        """
        if name not in self.attributes:
            raise NotFoundError(
                f"{self.name} has no attribute {name!r}; it has {', '.join(self.attributes)}.",
                name=name,
            )
        return self.attributes.index(name) + 1


def _interface(
    class_id: int, version: int, name: str, attributes: str, methods: str = ""
) -> InterfaceClass:
    names = ("logical_name", *attributes.split())
    return InterfaceClass(class_id, version, name, names, tuple(methods.split()))


DATA = _interface(1, 0, "Data", "value")
REGISTER = _interface(3, 0, "Register", "value scaler_unit", "reset")
EXTENDED_REGISTER = _interface(
    4, 0, "Extended register", "value scaler_unit status capture_time", "reset"
)
DEMAND_REGISTER = _interface(
    5,
    0,
    "Demand register",
    "current_average_value last_average_value scaler_unit status capture_time "
    "start_time_current period number_of_periods",
    "reset next_period",
)
PROFILE_GENERIC = _interface(
    7,
    1,
    "Profile generic",
    "buffer capture_objects capture_period sort_method sort_object entries_in_use profile_entries",
    "reset capture",
)
CLOCK = _interface(
    8,
    0,
    "Clock",
    "time time_zone status daylight_savings_begin daylight_savings_end "
    "daylight_savings_deviation daylight_savings_enabled clock_base",
    "adjust_to_quarter adjust_to_measuring_period adjust_to_minute adjust_to_preset_time "
    "preset_adjusting_time shift_time",
)
SPECIAL_DAYS_TABLE = _interface(11, 0, "Special days table", "entries", "insert delete")
ASSOCIATION_LN = _interface(
    15,
    1,
    "Association LN",
    "object_list associated_partners_id application_context_name xDLMS_context_info "
    "authentication_mechanism_name secret association_status security_setup_reference",
    "reply_to_HLS_authentication change_HLS_secret add_object remove_object",
)
SAP_ASSIGNMENT = _interface(
    17, 0, "SAP assignment", "SAP_assignment_list", "connect_logical_device"
)
IMAGE_TRANSFER = _interface(
    18,
    0,
    "Image transfer",
    "image_block_size image_transferred_blocks_status "
    "image_first_not_transferred_block_number image_transfer_enabled image_transfer_status "
    "image_to_activate_info",
    "image_transfer_initiate image_block_transfer image_verify image_activate",
)
ACTIVITY_CALENDAR = _interface(
    20,
    0,
    "Activity calendar",
    "calendar_name_active season_profile_active week_profile_table_active "
    "day_profile_table_active calendar_name_passive season_profile_passive "
    "week_profile_table_passive day_profile_table_passive activate_passive_calendar_time",
    "activate_passive_calendar",
)
PUSH_SETUP = _interface(
    40,
    0,
    "Push setup",
    "push_object_list send_destination_and_method communication_window "
    "randomisation_start_interval number_of_retries repetition_delay",
    "push",
)
SECURITY_SETUP = _interface(
    64,
    0,
    "Security setup",
    "security_policy security_suite client_system_title server_system_title",
    "security_activate global_key_transfer",
)
DISCONNECT_CONTROL = _interface(
    70,
    0,
    "Disconnect control",
    "output_state control_state control_mode",
    "remote_disconnect remote_reconnect",
)
LIMITER = _interface(
    71,
    0,
    "Limiter",
    "monitored_value threshold_active threshold_normal threshold_emergency "
    "min_over_threshold_duration min_under_threshold_duration emergency_profile "
    "emergency_profile_group_id_list emergency_profile_active actions",
)

INTERFACE_CLASSES: dict[int, InterfaceClass] = {
    interface.class_id: interface
    for interface in (
        DATA,
        REGISTER,
        EXTENDED_REGISTER,
        DEMAND_REGISTER,
        PROFILE_GENERIC,
        CLOCK,
        SPECIAL_DAYS_TABLE,
        ASSOCIATION_LN,
        SAP_ASSIGNMENT,
        IMAGE_TRANSFER,
        ACTIVITY_CALENDAR,
        PUSH_SETUP,
        SECURITY_SETUP,
        DISCONNECT_CONTROL,
        LIMITER,
    )
}
