#ifndef BRIDGE_SETTINGS_24_INFO_H
#define BRIDGE_SETTINGS_24_INFO_H

/* Of struct bridge_setting_values. */
extern const struct setting_parser_info bridge_setting_parser_info;

#endif
