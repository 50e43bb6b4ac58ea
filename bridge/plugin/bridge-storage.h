/* The storage "bridge": see the tables at the end of bridge-storage.c, which say who does
 * what. */
#ifndef BRIDGE_STORAGE_H
#define BRIDGE_STORAGE_H

extern struct mail_storage bridge_storage;

#endif
