/* hold-file: a plugin in C. While a certain file stands in the mirror, no sync starts: somebody is working there, or
 * another tool is (Debian's `Archive-Update-in-Progress-…`). The run waits, and is asked again.
 *
 * Settings: `file`, a path below the destination; `seconds`, how long to wait before looking again (600).
 * Grant: dest_read with that path.
 *
 * The bindings in pre.h are made from the contract by `bindings/`. What a function is given belongs to it: it is freed
 * here, and strings that are returned are made with pre_string_dup, for the host's side to free. */

#include <stdlib.h>
#include <string.h>

#include "pre.h"

typedef exports_heliostat_plugin_pre_hook_decision_t decision_t;
typedef exports_heliostat_plugin_pre_hook_hook_error_t hook_error_t;

/* A string of the host's that nobody has to free. */
static pre_string_t borrowed(const char *text) {
    pre_string_t string = {(uint8_t *)text, strlen(text)};
    return string;
}

/* The error's text, and that it is one. */
static bool fail(hook_error_t *error, const char *message) {
    error->tag = HELIOSTAT_PLUGIN_TYPES_HOOK_ERROR_FAILED;
    pre_string_dup(&error->val.failed, message);
    return false;
}

/* The setting `seconds`, or 600 where there is none; 0 where it is no number between a second and a day. */
static uint64_t wait_seconds(void) {
    pre_string_t key = borrowed("seconds"), value;
    if (!heliostat_plugin_config_get(&key, &value)) {
        return 600;
    }
    uint64_t seconds = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t digit = value.ptr[i];
        if (digit < '0' || digit > '9' || seconds > 86400) {
            seconds = 0;
            break;
        }
        seconds = seconds * 10 + (digit - '0');
    }
    pre_string_free(&value);
    return seconds > 86400 ? 0 : seconds;
}

/* Whether the file is there: 1, 0, or -1 when that cannot be told. */
static int is_there(pre_string_t *path) {
    heliostat_plugin_dest_metadata_t metadata;
    heliostat_plugin_dest_error_t error;
    if (heliostat_plugin_dest_stat(path, &metadata, &error)) {
        return 1;
    }
    int answer = error.tag == HELIOSTAT_PLUGIN_DEST_ERROR_NOT_FOUND ? 0 : -1;
    heliostat_plugin_dest_error_free(&error);
    return answer;
}

bool exports_heliostat_plugin_pre_hook_pre_sync(exports_heliostat_plugin_pre_hook_run_context_t *run,
                                                decision_t *decision, hook_error_t *error) {
    exports_heliostat_plugin_pre_hook_run_context_free(run);

    pre_string_t key = borrowed("file"), path;
    if (!heliostat_plugin_config_get(&key, &path)) {
        return fail(error, "the setting `file` is missing");
    }
    int there = is_there(&path);
    pre_string_free(&path);
    if (there < 0) {
        return fail(error, "the file cannot be looked at: grant it with dest_read");
    }
    if (there == 0) {
        decision->tag = HELIOSTAT_PLUGIN_TYPES_DECISION_PROCEED;
        return true;
    }
    uint64_t seconds = wait_seconds();
    if (seconds == 0) {
        return fail(error, "the setting `seconds` must be a number from 1 to 86400");
    }
    decision->tag = HELIOSTAT_PLUGIN_TYPES_DECISION_DELAY;
    decision->val.delay.f0 = seconds * 1000;
    pre_string_dup(&decision->val.delay.f1, "somebody holds the mirror with a file");
    return true;
}
