//! Pidfds, which come with each message once `SO_PASSPIDFD` is on, whether anybody knows of them or
//! not. They cannot be told from each other from outside, so each test counts descriptors, in a process
//! of its own.

use afunix::{AncillaryBuf, AsFd, AsRawFd, Errno, RecvOptions, Space, UnixStream};
use rustix::process::getpid;

use crate::common::emulated::skip_option;
use crate::common::kinds::Data;
use crate::common::{Watchdog, open_fds, passes_in_child};
use crate::control::{self, HEADER, Token, Walk, is_cloexec, recv, recv_as};

for_data!(pidfd_is_owned_and_closed_whether_or_not_it_is_taken);

const SCM_PIDFD: i32 = 4;
const ROOM: usize = Space::new().credentials().rights::<4>().pidfd().bytes();

/// A pair, of which the second gets a pidfd with each message; `None` where there are none.
fn pair<T: Data>() -> Option<(T, T)> {
    let (a, b) = T::pair().unwrap();
    match afunix::set_passpidfd(&b, true) {
        Err(Errno::NOPROTOOPT) => {
            skip_option("no pidfds with messages before Linux 6.5");
            None
        }
        result => {
            result.unwrap();
            Some((a, b))
        }
    }
}

/// The pidfd in some messages of the kernel's, which must be there.
#[track_caller]
fn pidfd(messages: &[control::Message]) -> i32 {
    let message = messages.iter().find(|message| message.kind == SCM_PIDFD).expect("a pidfd");
    control::ints(&message.payload)[0]
}

/// rustix 1.1.6 skips messages that it does not know, and leaves their descriptors open.
#[test]
fn messages_that_nobody_asks_for_are_closed_with_the_others() {
    let _watchdog = Watchdog::new();
    passes_in_child("pidfds::messages_that_nobody_asks_for_are_closed_with_the_others", || {
        let Some((a, b)) = pair::<UnixStream>() else { return };
        let before = open_fds();
        let mut buf = AncillaryBuf::<ROOM>::new();
        for _ in 0..3 {
            a.send_fds(b"x", &[a.as_fd(), b.as_fd()]).unwrap();
            let mut ancillary = recv(&b, &mut buf).unwrap();
            assert_eq!(open_fds().len(), before.len() + 3);
            assert_eq!((ancillary.take_fds().count(), ancillary.unknown().count()), (2, 0));
            // Of all that can be asked for, the pidfd alone is left.
            assert_eq!((ancillary.fds().count(), ancillary.credentials()), (0, None));
            assert_eq!(open_fds().len(), before.len() + 1);
            drop(ancillary);
            assert_eq!(open_fds(), before);
        }

        // Control: with the messages that everybody knows, three are still open.
        let left = [(); 3].map(|()| {
            a.write(b"x").unwrap();
            let raw = control::receive(&b, 8, ROOM, libc::MSG_CMSG_CLOEXEC);
            let messages = control::messages(&raw.control, Walk::Right);
            assert_eq!(control::rights(&messages), []);
            pidfd(&messages)
        });
        assert_eq!(open_fds().len(), before.len() + 3);
        control::close(&left);
        assert_eq!(open_fds(), before);
    });
}

/// nix 0.31.3, tokio-seqpacket 0.9.1 and std's nightly give a pidfd as bytes of a message that they do
/// not know, if at all, and leave it open.
fn pidfd_is_owned_and_closed_whether_or_not_it_is_taken<T: Data>(test: &str) {
    passes_in_child(test, || {
        let Some((a, b)) = pair::<T>() else { return };
        let before = open_fds();
        let mut buf = AncillaryBuf::<ROOM>::new();
        a.put(b"x").unwrap();
        let mut ancillary = recv(&b, &mut buf).unwrap();
        let taken = ancillary.take_pidfd().unwrap().expect("SO_PASSPIDFD is on");
        assert!(ancillary.take_pidfd().unwrap().is_none(), "it was given twice");
        assert_eq!(ancillary.unknown().count(), 0);
        drop(ancillary);
        // It is this process, held by whoever took it.
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", taken.as_raw_fd()));
        let pid = format!("Pid:\t{}\n", getpid().as_raw_pid());
        assert!(info.unwrap().contains(&pid));
        assert!(is_cloexec(taken.as_raw_fd()));
        assert_eq!(open_fds().len(), before.len() + 1);
        drop(taken);
        assert_eq!(open_fds(), before);

        a.put(b"x").unwrap();
        recv(&b, &mut buf).map(drop).unwrap();
        assert_eq!(open_fds(), before);
        a.put(b"x").unwrap();
        recv_as(&b, &mut buf, RecvOptions::new().lossy()).map(drop).unwrap();
        assert_eq!(open_fds(), before);

        // Control: bytes close nothing.
        a.put(b"x").unwrap();
        let raw = control::receive(&b, 8, ROOM, libc::MSG_CMSG_CLOEXEC);
        let left = pidfd(&control::messages(&raw.control, Walk::Right));
        drop(raw);
        assert_eq!(open_fds().len(), before.len() + 1);
        control::close(&[left]);
        assert_eq!(open_fds(), before);
    });
}

/// uds 0.4.2 and sendfd 0.4.5 receive descriptors into a buffer with room for a pidfd, and leave it
/// open.
#[test]
fn descriptors_are_received_and_the_pidfd_beside_them_is_closed() {
    let _watchdog = Watchdog::new();
    passes_in_child("pidfds::descriptors_are_received_and_the_pidfd_beside_them_is_closed", || {
        let Some((a, b)) = pair::<UnixStream>() else { return };
        let mut token = Token::new();
        let before = open_fds();
        for _ in 0..3 {
            a.send_fds(b"x", &[token.fd(); 3]).unwrap();
            let (_, fds) = b.recv_fds::<3>(&mut [0; 8]).unwrap();
            assert_eq!((fds.len(), fds.surplus()), (3, 0));
            assert_eq!(open_fds().len(), before.len() + 3);
            drop(fds);
            a.send_fds(b"x", &[token.fd(); 3]).unwrap();
            let (_, fds) = b.recv_fds_exact::<3>(&mut [0; 8]).unwrap();
            assert_eq!(open_fds().len(), before.len() + 3);
            drop(fds);
            // Where another number comes, too.
            a.send_fds(b"x", &[token.fd()]).unwrap();
            b.recv_fds_exact::<3>(&mut [0; 8]).unwrap_err();
            assert_eq!(open_fds(), before);
        }

        // Control: who closes what is a descriptor by its type has one left.
        a.send_fds(b"x", &[token.fd()]).unwrap();
        let raw = control::receive(&b, 8, ROOM, libc::MSG_CMSG_CLOEXEC);
        let messages = control::messages(&raw.control, Walk::Right);
        control::close(&control::rights(&messages));
        assert_eq!(open_fds().len(), before.len() + 1);
        control::close(&[pidfd(&messages)]);
        assert_eq!(open_fds(), before);
        token.assert_all_closed();
    });
}

/// passfd 0.1.6 looks at the first message alone, finds it to be none of descriptors, and gives up,
/// with the pidfd open.
#[test]
fn message_with_nothing_but_a_pidfd_has_no_descriptors_and_leaves_none_open() {
    let _watchdog = Watchdog::new();
    let test = "pidfds::message_with_nothing_but_a_pidfd_has_no_descriptors_and_leaves_none_open";
    passes_in_child(test, || {
        let Some((a, b)) = pair::<UnixStream>() else { return };
        let before = open_fds();
        let mut data = [0; 8];
        a.write(b"plain").unwrap();
        let (received, fds) = b.recv_fds::<1>(&mut data).unwrap();
        assert_eq!((&data[..received.bytes], fds.len(), fds.surplus()), (&b"plain"[..], 0, 0));
        assert_eq!(open_fds(), before);
        // One that is sent is found.
        a.send_fds(b"x", &[a.as_fd()]).unwrap();
        let (_, [fd]) = b.recv_fds_exact::<1>(&mut data).unwrap();
        assert_eq!(open_fds().len(), before.len() + 1);
        drop(fd);
        assert_eq!(open_fds(), before);

        // Control: the usual room for one descriptor is filled by the pidfd.
        a.write(b"plain").unwrap();
        let room = (HEADER + 4).next_multiple_of(control::WORD);
        let raw = control::receive(&b, 8, room, libc::MSG_CMSG_CLOEXEC);
        let messages = control::messages(&raw.control, Walk::Right);
        assert_eq!((messages.len(), messages[0].kind), (1, SCM_PIDFD));
        assert_eq!(open_fds().len(), before.len() + 1);
        control::close(&[pidfd(&messages)]);
    });
}
