/* Refuses to move messages out of a store that cannot remove them. */
#ifndef BRIDGE_GUARD_H
#define BRIDGE_GUARD_H

struct module;

void bridge_guard_init(struct module *module);
void bridge_guard_deinit(void);

#endif
