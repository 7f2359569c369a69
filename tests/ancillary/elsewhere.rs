//! Senders whom the receiver does not see, because one of them is in another namespace.

use afunix::{AncillaryBuf, Credentials, IoSliceMut, RecvOptions};

use crate::common::emulated::{is_set, left_out_by_qemu};
use crate::common::{passes_in_child, skip};
use crate::methods::{Passes, credentials, get, got_of, mine};
use crate::plain::{self, fork, fork_code};

for_data!(
    sender_from_another_pid_namespace_has_no_pid_and_its_own_ids
    user_from_another_user_namespace_is_the_overflow_user
);
for_messages!(empty_message_from_elsewhere_looks_like_the_end_of_a_stream_and_is_shown);

/// A process of several threads may not leave its user namespace.
const THREADS: &str = "qemu-user has a thread of its own";

fn unshare(flags: i32) -> bool {
    // SAFETY: a number alone.
    unsafe { libc::unshare(flags) == 0 }
}

/// Whether a process of this user, with one thread, may have such a namespace of its own.
fn may_unshare(flags: i32) -> bool {
    fork_code(|| i32::from(!unshare(flags))).1 == 0
}

/// Runs `body` in a new pid namespace, which sees nobody that is outside.
fn in_pid_namespace(body: impl FnOnce()) {
    fork(|| {
        assert!(unshare(libc::CLONE_NEWPID));
        // A process stays in its pid namespace for life; it is those that it starts that are in
        // the new one.
        fork(|| {
            assert_eq!(std::process::id(), 1);
            body();
        });
    });
}

/// Runs `body` in a child with a socket to which this process, seen from outside, has sent `data` four
/// times.
fn received_elsewhere<T: Passes>(test: &str, data: &[u8], body: impl FnOnce(&T, Credentials)) {
    passes_in_child(test, || {
        if !may_unshare(libc::CLONE_NEWPID) {
            return skip("a new pid namespace takes privilege");
        }
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        is_set(b.set_passpidfd(true));
        (0..4).for_each(|_| assert_eq!(a.put(data), Ok(data.len())));
        let sender = mine();
        in_pid_namespace(|| body(&b, Credentials { pid: None, ..sender }));
        // Here, the sender is seen.
        a.put(data).unwrap();
        assert_eq!(get(&b, 1).credentials, Some(sender));
    });
}

/// See "A process from elsewhere is 0" in `kernel.md`.
fn sender_from_another_pid_namespace_has_no_pid_and_its_own_ids<T: Passes>(test: &str) {
    received_elsewhere::<T>(test, b"x", |b, expected| {
        let (uid, gid) = (expected.uid.as_raw(), expected.gid.as_raw());
        let reply = plain::recv(b, &mut [0], 200, 0).unwrap();
        assert_eq!(reply.ucred(), Some(&plain::ucred(0, uid, gid)[..]));
        assert_eq!(get(b, 1).credentials, Some(expected));
        let got = got_of(b, 1, RecvOptions::new()).unwrap();
        assert_eq!((got.credentials, got.received.bytes), (Some(expected), 1));
        // The handle to the process is not hindered by that.
        assert_eq!(got.has_pidfd(), afunix::passpidfd(b).unwrap());
        assert_eq!(
            get(b, 1).credentials.unwrap().to_string(),
            format!("unknown pid, uid {uid}, gid {gid}")
        );
    });
}

/// See "The end of a stream names root" in `kernel.md`: of a message from outside, root's, the payload is
/// the same twelve zeros.
fn empty_message_from_elsewhere_looks_like_the_end_of_a_stream_and_is_shown<T: Passes>(test: &str) {
    received_elsewhere::<T>(test, b"", |b, expected| {
        if expected == credentials(0, 0, 0) {
            let reply = plain::recv(b, &mut [0], 200, 0).unwrap();
            assert_eq!((reply.bytes, reply.ucred()), (0, Some(&[0; 12][..])));
        }
        assert_eq!(get(b, 1).credentials, Some(expected));
        assert_eq!(got_of(b, 1, RecvOptions::new()).unwrap().credentials, Some(expected));
        // Nor is a loss forgiven, as at the end of a stream.
        let (mut data, mut none) = ([0], AncillaryBuf::<0>::new());
        let data = &mut [IoSliceMut::new(&mut data)];
        let error = afunix::recv_with(b, data, &mut none, RecvOptions::new()).unwrap_err();
        assert_eq!(error.errno(), afunix::Errno::NOBUFS);
        if expected != credentials(0, 0, 0) {
            get(b, 1);
        }
    });
}

/// See "A process from elsewhere is 0" in `kernel.md`.
fn user_from_another_user_namespace_is_the_overflow_user<T: Passes>(test: &str) {
    passes_in_child(test, || {
        if !may_unshare(libc::CLONE_NEWUSER) {
            if left_out_by_qemu(THREADS) {
                return;
            }
            return skip("this user may have no user namespace");
        }
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        (0..2).for_each(|_| assert_eq!(a.put(b"x"), Ok(1)));
        let expected = credentials(std::process::id(), 65534, 65534);
        fork(|| {
            // No user has a number in it yet.
            assert!(unshare(libc::CLONE_NEWUSER));
            assert_eq!(get(&b, 1).credentials, Some(expected));
        });
        assert_eq!(get(&b, 1).credentials, Some(mine()));
    });
}
