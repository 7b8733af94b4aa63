"""
The words of Linux-PAM: what a module may return, what a line does with it, and the keywords that stand for it.

Source: ``pam_tokens.h`` and ``pam_handlers.c`` of Linux-PAM 1.5.2 and 1.7.0.
"""

#: What a module may return; the number is the place in this table.
RETURNS = (
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
)
SUCCESS, DENIED, NEW_AUTHTOK, SESSION_ERROR, IGNORED, UNKNOWN, INCOMPLETE = map(
    RETURNS.index,
    ("success", "perm_denied", "new_authtok_reqd", "session_err", "ignore", "module_unknown", "incomplete"),
)
#: Stands for every number that is no return value: it is bad, whatever the line says.
INVALID = len(RETURNS)

#: What a line does with what its module returned; a jump is the number of modules (int > 0).
IGNORE, OK, DONE, BAD, DIE, RESET, UNDEFINED = range(0, -7, -1)
# The same number of actions as there are return values; good ones are left out, since nothing good is returned.
ANYTHING = (IGNORE, BAD, DIE, RESET, *range(1, len(RETURNS) - 3))
ACTIONS = (b"ignore", b"ok", b"done", b"bad", b"die", b"reset")
#: The keywords: what success, ignore, and everything else come to.
CONTROLS = {
    b"required": (OK, IGNORE, BAD),
    b"requisite": (OK, IGNORE, DIE),
    b"optional": (OK, IGNORE, IGNORE),
    b"sufficient": (DONE, IGNORE, IGNORE),
}

LOGINUID = "pam_loginuid.so"
#: What these modules can return when a session is opened; all others anything.
ANSWERS = {
    "pam_permit.so": (SUCCESS,),
    "pam_deny.so": (SESSION_ERROR,),
    LOGINUID: (SUCCESS, SESSION_ERROR, IGNORED),
}
