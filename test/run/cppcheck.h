/* What cppcheck has to know of Dovecot's headers, which it cannot read itself. */
#define array_foreach(array, elem) \
	for ((elem) = array_first(array); (elem) < array_end(array); (elem)++)
#define array_foreach_modifiable(array, elem) array_foreach(array, elem)
#define array_foreach_elem(array, elem) \
	for ((elem) = array_take(array); (elem) != NULL; (elem) = array_take(array))
#define T_BEGIN do
#define T_END while (0)
#define i_zero(p) memset((p), 0, sizeof(*(p)))
#define ARRAY_TYPE(name) struct array
#define DOVEADM_CMD_PARAMS_START
#define DOVEADM_CMD_PARAM(c, n, t, f) { c, n, t, f },
#define DOVEADM_CMD_PARAMS_END
typedef unsigned char guid_128_t[16];
