//! Who sent a message, beside whose the connection is.

use afunix::{Errno, Gid, Pid, RecvOptions, SendError, Uid};

use crate::asks::{Asks, Meets, numbers};
use crate::common::emulated::{THREAD, is_set, left_out_by_qemu};
use crate::common::kinds::Socket;
use crate::common::{is_root, name, open_fds, passes_in_child, skip};
use crate::methods::{claim, credentials, get, got, now};
use crate::pidfds::pid_of;
use crate::plain::{self, fork, fork_code};
use crate::processes::{Child, become_others};

for_connecting!(
    client_is_its_effective_user_and_its_messages_are_its_real_user_s
    message_from_before_the_option_was_on_is_nobody_s_and_the_connection_is_somebody_s
);
for_data!(
    socket_that_was_handed_on_has_one_peer_and_many_senders
    pidfd_of_a_message_is_of_whom_root_claims_and_of_a_connection_is_of_the_peer
    claims_that_have_no_number_here_are_einval
    sender_s_own_claim_is_translated_to_this_pid_namespace
    effective_user_alone_parts_nothing
    credentials_are_not_read_but_received
    peek_at_a_message_installs_a_pidfd_each_time
);

/// See "Real ids with messages, effective ids with connections" in `kernel.md`.
fn client_is_its_effective_user_and_its_messages_are_its_real_user_s<T: Meets>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may have different ids");
        }
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        afunix::set_passcred(&listener, true).unwrap();
        let client = fork(|| {
            become_others([1000, 1001, 1002], [2000, 2001, 2002]);
            T::connect(&server).unwrap().put(b"x").unwrap();
        });
        let (connection, _, peer) = T::accept_peer(&listener).unwrap();
        let sender = get(&connection, 4).credentials.unwrap();
        assert_eq!(numbers(peer), [client, 1001, 2001]);
        assert_eq!(sender, credentials(client, 1000, 2000));
        // Each is known by its own number alone.
        let user = Uid::from_raw;
        for (id, is_peer, is_sender) in
            [(1000, false, true), (1001, true, false), (1002, false, false), (0, false, false)]
        {
            assert_eq!(peer.require_user(user(id)).is_ok(), is_peer);
            assert_eq!(sender.require_user(user(id)).is_ok(), is_sender);
            let group = Gid::from_raw(id + 1000);
            assert_eq!(peer.require_group(group, &[]).is_ok(), is_peer);
            assert_eq!(sender.require_group(group, &[]).is_ok(), is_sender);
        }
        let own = Pid::from_raw(client.cast_signed()).unwrap();
        assert!(peer.require_process(own).is_ok() && sender.require_process(own).is_ok());
    });
}

/// See "Nobody asked yet" in `kernel.md`.
fn message_from_before_the_option_was_on_is_nobody_s_and_the_connection_is_somebody_s<T: Meets>(
    _: &str,
) {
    let server = name("server");
    let listener = T::Listener::bind(&server).unwrap();
    let client = T::connect(&server).unwrap();
    let (connection, _, peer) = T::accept_peer(&listener).unwrap();
    client.put(b"x").unwrap();
    connection.set_passcred(true).unwrap();
    is_set(connection.set_passpidfd(true));
    let message = get(&connection, 1);
    let sender = message.credentials.unwrap();
    assert_eq!((sender.pid, sender.uid.as_raw(), sender.gid.as_raw()), (None, 65534, 65534));
    assert!(!message.has_pidfd());
    assert!(sender.require_same_user().is_err() && sender.require_root().is_err());
    assert!(sender.require_user(sender.uid).is_err());
    assert!(sender.require_group(sender.gid, &[sender.gid]).is_err());
    peer.require_same_user().unwrap();
    assert!(connection.peer().is_ok());
}

/// A connection says nothing of who writes.
fn socket_that_was_handed_on_has_one_peer_and_many_senders<T: Asks>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        let peer = b.peer_credentials().unwrap();
        let creator = std::process::id();
        let mut senders = Vec::new();
        for id in [0, 1000, 2000] {
            let pid = fork(|| {
                if is_root() {
                    become_others([id; 3], [id; 3]);
                }
                a.put(b"x").unwrap();
            });
            let sender = get(&b, 1).credentials.unwrap();
            assert_eq!(sender.pid, credentials(pid, 0, 0).pid);
            assert!(!is_root() || sender == credentials(pid, id, id));
            assert_eq!(numbers(b.peer_credentials().unwrap())[0], creator);
            senders.push(sender);
        }
        assert_eq!(b.peer_credentials(), Ok(peer));
        assert!(senders.iter().all(|sender| sender.pid != peer.pid));
    });
}

/// See "Root may name another process" in `kernel.md`.
fn pidfd_of_a_message_is_of_whom_root_claims_and_of_a_connection_is_of_the_peer<T: Asks>(
    test: &str,
) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may claim to be somebody else");
        }
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        let has_pidfd = is_set(b.set_passpidfd(true));
        let other = Child::start(|| ());
        let own = std::process::id().cast_signed();
        let forged = credentials(other.pid(), 1234, 5678);
        claim(&a, b"x", &[forged]).unwrap();
        let message = get(&b, 4);
        assert_eq!(message.credentials, Some(forged));
        let pid = message.pidfd.unwrap().map(|pidfd| pid_of(&pidfd));
        assert_eq!(pid, has_pidfd.then(|| other.pid().cast_signed()));
        // Nobody claims a connection.
        let peer = b.peer().unwrap();
        assert_eq!(pid_of(&peer.pidfd), own);
        assert_eq!(peer.credentials.pid, Pid::from_raw(own));
        // Nor is the next message forged.
        a.put(b"y").unwrap();
        let message = get(&b, 4);
        assert_eq!(message.credentials.unwrap().pid, Pid::from_raw(own));
        let pid = message.pidfd.unwrap().map(|pidfd| pid_of(&pidfd));
        assert_eq!(pid, has_pidfd.then_some(own));
        // A process that is not there cannot be claimed.
        let pid = other.pid();
        other.reap();
        let gone = claim(&a, b"z", &[credentials(pid, 0, 0)]);
        assert_eq!(gone, Err(SendError::Kernel(Errno::SRCH)));
        for nobody in [0, u32::MAX] {
            let ucred = plain::ucred(nobody, 0, 0);
            let by_hand = plain::message(plain::CREDENTIALS, &ucred);
            assert_eq!(plain::send(&a, b"z", &by_hand, 0), Err(Errno::SRCH));
        }
        assert!(now(&b).is_err());
    });
}

/// See "Credentials that a sender may claim" in `kernel.md`.
fn claims_that_have_no_number_here_are_einval<T: Asks>(test: &str) {
    if left_out_by_qemu(THREAD) {
        return;
    }
    passes_in_child(test, || {
        let unshare = || {
            // SAFETY: a number alone.
            unsafe { libc::unshare(libc::CLONE_NEWUSER) == 0 }
        };
        if fork_code(|| i32::from(!unshare())).1 != 0 {
            return skip("this user may have no user namespace");
        }
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        fork(|| {
            assert!(unshare());
            for id in [0, 1000, 65534] {
                let refused = claim(&a, b"x", &[credentials(std::process::id(), id, id)]);
                assert_eq!(refused, Err(SendError::Kernel(Errno::INVAL)), "{id}");
            }
        });
        assert!(now(&b).is_err());
    });
}

/// See "A process from elsewhere is 0" in `kernel.md`: and one that is seen has the number that it has here.
fn sender_s_own_claim_is_translated_to_this_pid_namespace<T: Asks>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        let may = fork_code(|| {
            // SAFETY: a number alone.
            if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
                return 1;
            }
            fork(|| {
                // SAFETY: they cannot fail.
                let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
                assert_eq!(std::process::id(), 1);
                claim(&a, b"x", &[credentials(1, uid, gid)]).unwrap();
            });
            0
        });
        if may.1 != 0 {
            return skip("a new pid namespace takes privilege");
        }
        let pid = get(&b, 4).credentials.unwrap().pid.unwrap();
        assert!(pid.as_raw_pid() > 1, "{pid:?}");
        assert_ne!(pid.as_raw_pid().cast_unsigned(), std::process::id());
    });
}

/// See "Senders are not mixed" in `kernel.md`: they are told by what comes with messages, real ids.
fn effective_user_alone_parts_nothing<T: Asks>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may have different ids");
        }
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        let effective = |id| {
            // SAFETY: a number alone.
            assert_eq!(unsafe { libc::seteuid(id) }, 0);
        };
        a.put(b"a").unwrap();
        effective(1000);
        a.put(b"b").unwrap();
        effective(0);
        let parts = if T::TYPE == libc::SOCK_STREAM { &["ab"][..] } else { &["a", "b"] };
        for part in parts {
            let message = get(&b, 4);
            assert_eq!(message.data, part.as_bytes());
            assert_eq!(message.credentials, Some(credentials(std::process::id(), 0, 0)));
        }
    });
}

fn credentials_are_not_read_but_received<T: Asks>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_passcred(true).unwrap();
    a.put(b"x").unwrap();
    assert_eq!(b.get(&mut [0; 4]), Ok(1));
    a.put(b"y").unwrap();
    assert!(get(&b, 4).credentials.is_some());
}

/// See "Each peek installs descriptors again" in `kernel.md`: this crate's do not.
fn peek_at_a_message_installs_a_pidfd_each_time<T: Asks>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        if !is_set(b.set_passpidfd(true)) {
            return;
        }
        a.put(b"x").unwrap();
        let before = open_fds();
        let peek = || plain::recv(&b, &mut [0; 4], 64, libc::MSG_PEEK).unwrap();
        let kept = [(); 2].map(|()| peek().pidfd.unwrap().unwrap());
        assert_eq!(open_fds().len(), before.len() + 2);
        for _ in 0..3 {
            let peeked = got(&b, 4, RecvOptions::new().peek()).unwrap();
            assert!(peeked.data == b"x" && !peeked.has_pidfd());
        }
        assert_eq!(open_fds().len(), before.len() + 2);
        drop(kept);
        let own = std::process::id().cast_signed();
        assert_eq!(pid_of(&get(&b, 4).pidfd.unwrap().unwrap()), own);
        assert_eq!(open_fds(), before);
    });
}
