//! Control buffers of all sizes: the last message ends where the buffer does, or is cut there.

use afunix::{
    AncillaryBuf, AsFd, AsRawFd, CapacityError, Credentials, IoSlice, RecvError, RecvOptions,
    SendOptions, Space, UnixDatagram, UnixSeqpacket, UnixStream,
};
use rustix::process::{getgid, getpid, getuid};

use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::common::{Watchdog, identity};
use crate::control::{self, HEADER, Token, Walk, is_cloexec, recv, recv_as};

const CREDENTIALS: usize = Space::new().credentials().bytes();

/// Receives credentials and 250 descriptors into `N` bytes, which those fill that fit.
#[track_caller]
fn check_cut<const N: usize>() {
    if left_out_by_qemu(CUT) {
        return;
    }
    let fit = (N - CREDENTIALS - HEADER) / 4;
    let (a, b) = UnixSeqpacket::pair().unwrap();
    b.set_passcred(true).unwrap();
    let mut token = Token::new();
    let send = || a.send_fds(b"x", &vec![token.fd(); 250]).unwrap();
    let mut buf = AncillaryBuf::<N>::new();
    for _ in 0..3 {
        send();
        let error = recv(&b, &mut buf).unwrap_err();
        assert!(matches!(error, RecvError::ControlTruncated { closed, .. } if closed == fit));
        // What came can be had, in part and in whole.
        for wanted in [0, 1, fit] {
            send();
            let mut ancillary = recv_as(&b, &mut buf, RecvOptions::new().lossy()).unwrap();
            assert!(ancillary.truncation().is_some() && ancillary.credentials().is_some());
            assert_eq!(ancillary.fds().count(), fit);
            assert_eq!(ancillary.take_fds().take(wanted).count(), wanted);
        }
    }

    // Control: who wants to see the padding of the last message sees no descriptors.
    send();
    let raw = control::receive(&b, 8, N, libc::MSG_CMSG_CLOEXEC);
    assert_eq!(raw.control.len(), N);
    if control::WORD == 8 {
        assert_eq!(control::rights(&control::messages(&raw.control, Walk::WholeWords)), []);
    }
    let fds = control::rights(&control::messages(&raw.control, Walk::Right));
    assert_eq!(fds.len(), fit);
    token.assert_held();
    control::close(&fds);
    token.assert_all_closed();
}

/// rustix 1.1.6 does not see such a message: as many descriptors as fit stay open each time.
#[test]
fn last_message_whose_padding_does_not_fit_is_found_or_closed() {
    let _watchdog = Watchdog::new();
    check_cut::<60>();
    check_cut::<92>();
    check_cut::<124>();
    check_cut::<252>();
}

/// With libc 0.2.171, sendfd 0.4.5 does not see a message that ends just where its buffer does: with
/// credentials on, of room for 9 descriptors 1 is left, which stays open each time, and so on.
#[test]
fn last_message_of_exactly_the_room_left_is_found_or_closed() {
    fn check<const WANTED: usize>() {
        let (a, b) = UnixStream::pair().unwrap();
        b.set_passcred(true).unwrap();
        let mut token = Token::new();
        if !left_out_by_qemu(CUT) {
            a.send_fds(b"x", &vec![token.fd(); 250]).unwrap();
            let error = b.recv_fds::<WANTED>(&mut [0; 8]).unwrap_err();
            // Where a pidfd might have come, more of them fit.
            let RecvError::ControlTruncated { closed, .. } = error else { panic!("{error:?}") };
            assert_eq!(closed, WANTED + (56 - CREDENTIALS) / 4);
        }
        a.send_fds(b"x", &[token.fd(); WANTED]).unwrap();
        let (_, fds) = b.recv_fds_exact::<WANTED>(&mut [0; 8]).unwrap();
        assert!(fds.iter().all(|fd| is_cloexec(fd.as_raw_fd())));
        drop(fds);
        token.assert_all_closed();
    }
    let _watchdog = Watchdog::new();
    check::<9>();
    check::<11>();
    check::<13>();
    // The same without any room to spare, and with a control.
    check_cut::<{ CREDENTIALS + HEADER + 9 * 4 }>();
    check_cut::<{ CREDENTIALS + HEADER + 11 * 4 }>();
    check_cut::<{ CREDENTIALS + HEADER + 13 * 4 }>();
    // What credentials leave of room for 9, 11 and 13.
    check_cut::<{ CREDENTIALS + HEADER + 4 }>();
    check_cut::<{ CREDENTIALS + HEADER + 3 * 4 }>();
    check_cut::<{ CREDENTIALS + HEADER + 5 * 4 }>();
}

/// Sends and receives with a buffer of `N` bytes, which is too small for most.
#[track_caller]
fn check_tiny<const N: usize>() {
    let (a, b) = UnixSeqpacket::pair().unwrap();
    let mut token = Token::new();
    let mut buf = AncillaryBuf::<N>::new();
    assert_eq!(buf.capacity(), N);

    let one = HEADER + 4;
    let mut writer = buf.writer();
    let pushed = writer.push_fds(&[token.fd()]);
    if N < one {
        let CapacityError { needed, left, .. } = pushed.unwrap_err();
        assert_eq!((needed, left), (one, N));
    } else {
        pushed.unwrap();
        a.send_with(&[IoSlice::new(b"x")], &writer, SendOptions::new()).unwrap();
        assert_eq!(recv(&b, &mut buf).unwrap().fds().count(), 1);
    }

    for passcred in [false, true] {
        if left_out_by_qemu(CUT) {
            break;
        }
        b.set_passcred(passcred).unwrap();
        // Cut credentials take what room there is.
        let fit = if passcred { 0 } else { N.saturating_sub(HEADER) / 4 };
        a.send_fds(b"x", &vec![token.fd(); fit + 1]).unwrap();
        let error = recv(&b, &mut buf).unwrap_err();
        assert!(matches!(error, RecvError::ControlTruncated { closed, .. } if closed == fit));
        a.send_fds(b"x", &vec![token.fd(); fit + 1]).unwrap();
        let mut ancillary = recv_as(&b, &mut buf, RecvOptions::new().lossy()).unwrap();
        assert_eq!((ancillary.credentials(), ancillary.unknown().count()), (None, 0));
        assert_eq!(ancillary.take_pidfd().map(|pidfd| pidfd.is_none()), Ok(true));
        assert_eq!(ancillary.take_fds().count(), fit);
    }
    token.assert_all_closed();
}

/// rustix 1.1.6 panics when it is given a small buffer that is not aligned.
#[test]
fn tiny_control_buffers_are_an_error_and_no_panic() {
    macro_rules! check_all {
        ($($size:literal)*) => { $(check_tiny::<$size>();)* };
    }
    let _watchdog = Watchdog::new();
    check_all!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20);

    // Control: the part of some bytes that is aligned may begin behind their end.
    let buf = AncillaryBuf::<16>::new();
    assert_eq!((&raw const buf).align_offset(8), 0);
    let bytes = [0_u64; 2].map(u64::to_ne_bytes);
    let start = bytes.as_flattened().as_ptr().align_offset(8) + 1;
    let small = &bytes.as_flattened()[start..start + 3];
    assert_eq!(small.get(small.as_ptr().align_offset(8)..), None);
}

/// rustix 1.1.6 and tokio-seqpacket 0.9.1 write payloads through a reference to something smaller,
/// which works by luck. Here the bytes of each message are its own: nothing is lost, and nothing is
/// written over, of messages that fill their buffer to the last byte.
#[test]
fn messages_that_fill_their_buffer_come_out_as_they_went_in() {
    // With padding between the messages, and none behind the last.
    const FULL: usize = CREDENTIALS + Space::new().rights::<2>().bytes() + HEADER + 4;
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    b.set_passcred(true).unwrap();
    let files = [(); 3].map(|()| Token::new());
    let mine = Credentials { pid: Some(getpid()), uid: getuid(), gid: getgid() };

    let mut buf = AncillaryBuf::<FULL>::new();
    let mut writer = buf.writer();
    writer.push_credentials(mine).unwrap();
    writer.push_fds(&[files[0].fd(), files[1].fd()]).unwrap();
    writer.push_fds(&[files[2].fd()]).unwrap();
    // Not one byte is left, and what does not fit changes nothing.
    assert_eq!(writer.push_fds(&[a.as_fd()]).map_err(|error| error.left), Err(0));
    assert_eq!(writer.push_credentials(mine).map_err(|error| error.left), Err(0));
    a.send_with(&[IoSlice::new(b"x")], &writer, SendOptions::new()).unwrap();

    // The kernel makes one message of all descriptors.
    let mut buf = AncillaryBuf::<{ Space::new().credentials().rights::<3>().bytes() }>::new();
    let mut ancillary = recv(&b, &mut buf).unwrap();
    assert_eq!(ancillary.credentials(), Some(mine));
    let came: Vec<_> = ancillary.take_fds().map(|fd| identity(&fd).1).collect();
    assert_eq!(came, files.each_ref().map(|file| identity(&file.fd()).1));

    // And each number of descriptors, with one that is like no other at the end.
    for count in 1..=253 {
        let last = Token::new();
        let mut fds = vec![a.as_fd(); count];
        fds[count - 1] = last.fd();
        a.send_fds(b"x", &fds).unwrap();
        let (_, came) = b.recv_fds::<253>(&mut [0; 8]).unwrap();
        assert_eq!((came.len(), came.surplus()), (count, 0));
        let inode = |at: usize| identity(&came.get(at).unwrap()).1;
        assert_eq!(inode(count - 1), identity(&last.fd()).1);
        assert!((0..count - 1).all(|at| inode(at) == identity(&a).1));
    }
}
