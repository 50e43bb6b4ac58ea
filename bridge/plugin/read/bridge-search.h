/* Searching: see bridge-search.c. */
#ifndef BRIDGE_SEARCH_PLUGIN_H
#define BRIDGE_SEARCH_PLUGIN_H

struct mail_search_context *
bridge_search_init(struct mailbox_transaction_context *t,
		   struct mail_search_args *args,
		   const enum mail_sort_type *sort_program,
		   enum mail_fetch_field wanted_fields,
		   struct mailbox_header_lookup_ctx *wanted_headers);
bool bridge_search_next_update_seq(struct mail_search_context *ctx);
int bridge_search_deinit(struct mail_search_context *ctx);

#endif
