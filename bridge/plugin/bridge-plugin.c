/* lib20_bridge_plugin.so: registers the storage and its mailbox list. */
#include "lib.h"
#include "compat.h"
#include "bridge-guard.h"
#include "bridge-list.h"
#include "bridge-private.h"
#include "bridge-storage.h"

struct module;

#define BRIDGE_EXPORT __attribute__((visibility("default")))

BRIDGE_EXPORT void bridge_plugin_init(struct module *module);
BRIDGE_EXPORT void bridge_plugin_deinit(void);

extern const char *bridge_plugin_version;
BRIDGE_EXPORT const char *bridge_plugin_version = DOVECOT_ABI_VERSION;

/* doveadm loads a plugin once for itself and once for the mail user */
static int refcount;

void bridge_plugin_init(struct module *module)
{
	if (refcount++ > 0)
		return;
	mailbox_list_register(&bridge_mailbox_list);
	mail_storage_class_register(&bridge_storage);
	bridge_guard_init(module);
}

void bridge_plugin_deinit(void)
{
	if (--refcount > 0)
		return;
	bridge_guard_deinit();
	mail_storage_class_unregister(&bridge_storage);
	mailbox_list_unregister(&bridge_mailbox_list);
}
