//! Senders in other namespaces, each in a child.

use afunix::{AncillaryBuf, IoSliceMut, RecvOptions, UnixDatagram, UnixStream};

use crate::common::{is_root, passes_in_child, skip};
use crate::methods::{Passes, credentials, get, got_of, mine};
use crate::plain::{self, fork};

for_data!(
    sender_from_another_pid_namespace_has_no_pid_and_its_own_ids
    user_from_another_user_namespace_is_the_overflow_user
);
for_messages!(empty_message_from_elsewhere_looks_like_the_end_of_a_stream_and_is_shown);

/// Has `body` run by a process that this one's pid namespace does not see... and that sees neither. False
/// if that may not be made here.
fn from_elsewhere(body: impl FnOnce() -> bool) -> bool {
    // A process stays in its pid namespace for life: it is for those that it starts.
    // SAFETY: a number alone.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        return false;
    }
    fork(body);
    true
}
