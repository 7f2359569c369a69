//! What is said of sizes and of errors.

use std::error::Error;

use afunix::{
    AncillaryBuf, AsFd, CapacityError, Credentials, Errno, RecvError, SendError, Shutdown, Space,
    Truncation, UnixDatagram, UnixStream,
};

use crate::common::Watchdog;
use crate::common::emulated::{CUT, NO_PIECES, left_out_by_qemu};
use crate::methods::{credentials, lend};
use crate::plain::{HEADER, WORD, files};

fn cmsg_space(payload: u32) -> usize {
    // SAFETY: it is arithmetic.
    unsafe { libc::CMSG_SPACE(payload) as usize }
}

macro_rules! check_rights {
    ($($ten:literal)+) => {
        $(check_rights!(@ $ten: 0 1 2 3 4 5 6 7 8 9);)+
    };
    (@ $ten:literal: $($one:literal)+) => {
        $({
            const COUNT: usize = $ten + $one;
            const BYTES: usize = Space::new().rights::<COUNT>().bytes();
            assert_eq!(BYTES, cmsg_space(4 * u32::try_from(COUNT).unwrap()), "{COUNT}");
            // It is room for so many, and on 64-bit machines for one more of an odd number.
            let fitting = (BYTES - HEADER) / 4;
            assert_eq!(fitting, COUNT.next_multiple_of(WORD / 4));
        })+
    };
}

#[test]
fn space_is_what_libc_counts() {
    check_rights!(10 20 30 40 50 60 70 80 90 100 110 120 130 140 150 160 170 180 190 200 210 220
        230 240);
    check_rights!(@ 0: 1 2 3 4 5 6 7 8 9);
    check_rights!(@ 250: 0 1 2 3);
    let ucred = u32::try_from(size_of::<libc::ucred>()).unwrap();
    assert_eq!(Space::new().credentials().bytes(), cmsg_space(ucred));
    assert_eq!(Space::new().pidfd().bytes(), cmsg_space(4));
    assert_eq!(Space::new().bytes_left().bytes(), cmsg_space(4));
    for len in 0..600 {
        let space = Space::new().payload(len).bytes();
        assert_eq!(space, cmsg_space(u32::try_from(len).unwrap()));
    }
    assert_eq!((Space::new().bytes(), Space::default()), (0, Space::new()));
    let sum = Space::new().credentials().rights::<3>().pidfd().bytes();
    assert_eq!(sum, cmsg_space(ucred) + cmsg_space(12) + cmsg_space(4));
    // More than there is, is no small number.
    assert_eq!(Space::new().payload(usize::MAX).payload(usize::MAX).bytes(), usize::MAX);
}

#[test]
fn message_that_does_not_fit_leaves_the_writer_as_it_was() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    let files = files(6);
    let lent = lend(&files);
    let mut buf = AncillaryBuf::<{ Space::new().rights::<2>().credentials().bytes() }>::new();
    let space = buf.capacity();
    let mut writer = buf.writer();
    writer.push_fds(&lent[..2]).unwrap();
    let said = format!("{writer:?}");
    let rest = space - Space::new().rights::<2>().bytes();
    for _ in 0..3 {
        let error: CapacityError = writer.push_fds(&lent).unwrap_err();
        assert_eq!((error.needed, error.left), (HEADER + 24, rest));
        let expected = format!("control message needs {} bytes, {rest} are left", HEADER + 24);
        assert_eq!((error.to_string(), error.errno()), (expected, Errno::NOBUFS));
        assert_eq!(format!("{writer:?}"), said);
    }
    writer.push_credentials(crate::methods::mine()).unwrap();
    let error = writer.push_fds(&lent[..1]).unwrap_err();
    assert_eq!((error.needed, error.left), (HEADER + 4, 0));
    if !left_out_by_qemu(NO_PIECES) {
        a.send_with(&[], &writer, afunix::SendOptions::new()).unwrap();
        let (_, [_, _]) = b.recv_fds_exact::<2>(&mut []).unwrap();
    }

    // To the byte: the last message needs no padding.
    let mut none = AncillaryBuf::<0>::new();
    assert_eq!(none.writer().push_fds(&lent[..1]).unwrap_err().left, 0);
    let mut short = AncillaryBuf::<{ HEADER + 3 }>::new();
    let error = short.writer().push_fds(&lent[..1]).unwrap_err();
    assert_eq!((error.needed, error.left), (HEADER + 4, HEADER + 3));
    let mut enough = AncillaryBuf::<{ HEADER + 4 }>::new();
    enough.writer().push_fds(&lent[..1]).unwrap();
    let mut short = AncillaryBuf::<{ HEADER + 11 }>::new();
    assert!(short.writer().push_credentials(credentials(1, 2, 3)).is_err());
}

#[test]
fn errors_of_sending_say_what_is_wrong() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let many = vec![b.as_fd(); 300];
    let cases = [
        (a.send_fds(b"", &many[..3]), "3 descriptors and 0 bytes, a stream needs at least 1"),
        (a.send_fds(b"x", &many), "300 descriptors, the limit is 253"),
    ];
    for (answer, said) in cases {
        let error = answer.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.errno()), (said, Errno::INVAL));
        assert!(error.source().is_none());
    }
    a.shutdown(Shutdown::Write).unwrap();
    let error = a.send_fds(b"x", &many[..1]).unwrap_err();
    assert_eq!((error, error.errno()), (SendError::Kernel(Errno::PIPE), Errno::PIPE));
    assert_eq!(error.to_string(), format!("cannot send: {}", Errno::PIPE));
}

#[test]
fn errors_of_receiving_say_what_is_wrong() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let files = files(40);
    let lent = lend(&files);
    b.set_nonblocking(true).unwrap();
    let error = b.recv_fds::<1>(&mut [0; 8]).unwrap_err();
    assert_eq!((error, error.errno()), (RecvError::Kernel(Errno::AGAIN), Errno::AGAIN));
    assert_eq!(error.to_string(), format!("cannot receive: {}", Errno::AGAIN));

    a.send_fds(b"x", &lent[..7]).unwrap();
    let error = b.recv_fds_exact::<9>(&mut [0; 8]).unwrap_err();
    assert_eq!(error.to_string(), "7 descriptors came, wanted 9");
    assert_eq!(error.errno(), Errno::PROTO);

    if left_out_by_qemu(CUT) {
        return;
    }
    a.send_fds(b"x", &lent).unwrap();
    let error = b.recv_fds::<9>(&mut [0; 8]).unwrap_err();
    let said = "control messages were lost: the control buffer was too small; \
                23 descriptors that came were closed";
    assert_eq!((error.to_string().as_str(), error.errno()), (said, Errno::NOBUFS));
    assert!(error.source().is_none());

    a.send_fds(b"x", &lent).unwrap();
    let mut none = AncillaryBuf::<0>::new();
    let error = b.recv_with(&mut [], &mut none, afunix::RecvOptions::new()).unwrap_err();
    let said = "control messages were lost: the control buffer was too small";
    assert_eq!(error.to_string(), said);
}

#[test]
fn truncations_and_credentials_say_what_they_are() {
    let said = [
        (Truncation::BufferFull, "the control buffer was too small"),
        (Truncation::NotInstalled, "no descriptor could be installed"),
        (Truncation::Unknown, "the control buffer was too small or a descriptor not installed"),
    ];
    for (truncation, said) in said {
        assert_eq!(truncation.to_string(), said);
    }
    let told = |credentials: Credentials| credentials.to_string();
    assert_eq!(told(credentials(42, 1000, 100)), "pid 42, uid 1000, gid 100");
    assert_eq!(told(credentials(0, 65534, 0)), "unknown pid, uid 65534, gid 0");
    let most = credentials(i32::MAX.cast_unsigned(), u32::MAX, u32::MAX);
    assert_eq!(told(most), "pid 2147483647, uid 4294967295, gid 4294967295");
}
