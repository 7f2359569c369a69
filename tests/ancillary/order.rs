//! The order in which messages come, and those that no accessor is for.

use afunix::{AncillaryBuf, AsRawFd as _, IoSlice, SendOptions, UnixDatagram, UnixStream};

use crate::common::Watchdog;
use crate::common::emulated::{CUT, is_set, left_out_by_qemu, skip_option};
use crate::methods::{NOTHING, Passes, get, lend, mine, now};
use crate::plain::{
    self, CREDENTIALS, PIDFD, RIGHTS, SO_INQ, files, inodes, message, rights, ucred,
};

for_data!(messages_come_in_the_order_of_the_kernel_whatever_they_were_sent_in);

/// See "Credentials come first, then descriptors, then the pidfd" in `kernel.md`.
fn messages_come_in_the_order_of_the_kernel_whatever_they_were_sent_in<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_passcred(true).unwrap();
    let pidfds = is_set(b.set_passpidfd(true));
    let (files, me) = (files(2), mine());
    let numbers: Vec<_> = files.iter().map(|file| file.as_raw_fd()).collect();
    let own = ucred(std::process::id(), me.uid.as_raw(), me.gid.as_raw());
    let (claim, fds) = (message(CREDENTIALS, &own), rights(&numbers));
    let halves = [rights(&numbers[..1]), rights(&numbers[1..])];
    for sent in [
        vec![claim.clone(), fds.clone()],
        vec![fds, claim.clone()],
        vec![halves[0].clone(), claim.clone(), halves[1].clone()],
    ] {
        for _ in 0..2 {
            plain::send(&a, b"x", &plain::messages(&sent), 0).unwrap();
        }
        let reply = plain::recv(&b, &mut [0], 200, 0).unwrap();
        assert_eq!(reply.kinds(), [CREDENTIALS, RIGHTS, PIDFD][..2 + usize::from(pidfds)]);
        let got = get(&b, 1);
        assert_eq!((inodes(&got.fds), got.credentials), (inodes(&files), Some(me)));
        assert_eq!((got.has_pidfd(), got.unknown.len()), (pidfds, 0));
    }
    // The writer's, in both orders.
    for first in [true, false] {
        let mut buf = AncillaryBuf::<128>::new();
        let mut writer = buf.writer();
        if first {
            writer.push_credentials(me).unwrap();
        }
        writer.push_fds(&lend(&files)).unwrap();
        if !first {
            writer.push_credentials(me).unwrap();
        }
        a.send_with(&[IoSlice::new(b"x")], &writer, SendOptions::new()).unwrap();
        let got = get(&b, 1);
        assert_eq!((inodes(&got.fds), got.credentials), (inodes(&files), Some(me)));
    }
    assert_eq!(now(&b).unwrap_err(), NOTHING);
}

/// See "Credentials come first, then descriptors, then the pidfd" in `kernel.md`.
#[test]
fn bytes_left_come_last_and_are_those_behind_what_was_received() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    if plain::set(&b, SO_INQ, 1).is_err() {
        return skip_option("SO_INQ is of Linux 6.17");
    }
    b.set_passcred(true).unwrap();
    b.set_passpidfd(true).unwrap();
    let files = files(1);
    a.send_fds(b"abcdef", &lend(&files)).unwrap();
    let reply = plain::recv(&b, &mut [0; 2], 200, 0).unwrap();
    assert_eq!(reply.kinds(), [CREDENTIALS, RIGHTS, PIDFD, SO_INQ]);
    let got = get(&b, 3);
    assert_eq!((got.bytes_left, got.credentials), (Some(1), Some(mine())));
    assert!(got.has_pidfd() && got.fds.is_empty() && got.unknown.is_empty());
    assert_eq!(get(&b, 3).bytes_left, Some(0));
    // At the end too, where there are no credentials.
    drop(a);
    let got = get(&b, 3);
    assert_eq!((got.received.bytes, got.bytes_left, got.credentials), (0, Some(0), None));
    assert!(got.truncation.is_none());
}

/// See "Credentials come first, then descriptors, then the pidfd" in `kernel.md`.
#[test]
fn message_that_no_accessor_is_for_is_shown_as_it_is() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    plain::set(&b, libc::SO_TIMESTAMP, 1).unwrap();
    b.set_passcred(true).unwrap();
    let pidfds = is_set(b.set_passpidfd(true));
    let files = files(1);
    for _ in 0..2 {
        a.send_fds(b"x", &lend(&files)).unwrap();
    }
    let reply = plain::recv(&b, &mut [0; 2], 200, 0).unwrap();
    let time = &reply.messages[0];
    // Where time has 8 bytes and words have 4, the option has another number.
    assert_eq!(time.kind, libc::SO_TIMESTAMP);
    assert_eq!(time.payload.len(), size_of::<libc::timeval>());
    assert_eq!(reply.kinds()[1..], [CREDENTIALS, RIGHTS, PIDFD][..2 + usize::from(pidfds)]);
    let got = get(&b, 2);
    assert_eq!(got.unknown, [(libc::SOL_SOCKET, libc::SO_TIMESTAMP, size_of::<libc::timeval>())]);
    if cfg!(target_pointer_width = "64") {
        assert_eq!(got.unknown, [(1, 29, 16)]);
    }
    assert_eq!((inodes(&got.fds), got.credentials), (inodes(&files), Some(mine())));
    assert_eq!(got.has_pidfd(), pidfds);
    if left_out_by_qemu(CUT) {
        return;
    }
    // It leaves less room for the rest, which is then lost as ever.
    a.send_fds(b"x", &lend(&files)).unwrap();
    let error = b.recv_fds::<0>(&mut [0; 2]).unwrap_err();
    assert!(matches!(error, afunix::RecvError::ControlTruncated { .. }), "{error}");
}
