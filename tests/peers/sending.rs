//! Senders: what they send where none is expected, and what comes of a peer that is gone.

use std::os::unix::process::ExitStatusExt;

use afunix::{
    AncillaryBuf, AsFd, Errno, IoSlice, RecvError, SendError, SendOptions, Space, UnixStream,
};

use crate::common::{Watchdog, in_child, passes_in_child};
use crate::control::{self, Token};

/// The runtime of Rust ignores the signal; a program in another language that calls Rust may not.
fn raise_sigpipe() {
    // SAFETY: the default action is no function of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// passfd 0.1.6 wants a descriptor with the first four bytes: where there is none, it fails, and the
/// bytes are gone.
#[test]
fn plain_bytes_where_descriptors_are_expected_are_not_lost() {
    const PLAIN: &[u8] = b"important";
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let mut buf = [0; 16];
    a.write(PLAIN).unwrap();
    let (received, fds) = b.recv_fds::<1>(&mut buf).unwrap();
    assert_eq!((&buf[..received.bytes], fds.len(), fds.surplus()), (PLAIN, 0, 0));
    // Nor does an error eat them.
    let mut buf = [0; 16];
    a.write(PLAIN).unwrap();
    let error = b.recv_fds_exact::<1>(&mut buf).unwrap_err();
    let RecvError::WrongCount { bytes, wanted: 1, found: 0, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(&buf[..bytes], PLAIN);
    // With room for a part, the rest stays where it is.
    a.write(PLAIN).unwrap();
    let (received, fds) = b.recv_fds::<1>(&mut buf[..4]).unwrap();
    assert_eq!((&buf[..received.bytes], fds.len()), (&PLAIN[..4], 0));
    assert_eq!(b.read(&mut buf), Ok(5));
    assert_eq!(&buf[..5], &PLAIN[4..]);
    // And what comes next is complete.
    let mut token = Token::new();
    a.send_fds(b"x", &[token.fd()]).unwrap();
    let (_, [fd]) = b.recv_fds_exact::<1>(&mut buf).unwrap();
    token.assert_held();
    drop(fd);
    token.assert_all_closed();

    // Control: a receive of four bytes takes four, whatever is thought of them then.
    a.write(PLAIN).unwrap();
    let raw = control::receive(&b, 4, 64, libc::MSG_CMSG_CLOEXEC);
    assert_eq!((&raw.data[..], raw.control.len()), (&PLAIN[..4], 0));
    assert_eq!(b.read(&mut buf), Ok(5));
}

/// sendfd 0.4.5 and passfd 0.1.6 end a process that does not ignore the signal.
#[test]
fn sending_descriptors_to_a_closed_peer_is_epipe_and_no_signal() {
    let _watchdog = Watchdog::new();
    let test = "sending::sending_descriptors_to_a_closed_peer_is_epipe_and_no_signal";
    passes_in_child(test, || {
        raise_sigpipe();
        let stream = UnixStream::pair().unwrap().0;
        let gone = Err(SendError::Kernel(Errno::PIPE));
        let mut token = Token::new();
        assert_eq!(stream.send_fds(b"x", &[token.fd()]), gone);
        assert_eq!(afunix::send_fds(&stream, b"x", &[token.fd()]), gone);
        let mut buf = AncillaryBuf::<{ Space::new().rights::<2>().bytes() }>::new();
        let mut writer = buf.writer();
        writer.push_fds(&[token.fd(), stream.as_fd()]).unwrap();
        let data = [IoSlice::new(b"x")];
        assert_eq!(stream.send_with(&data, &writer, SendOptions::new()), gone);
        assert_eq!(afunix::send_with(&stream, &data, &writer, SendOptions::new()), gone);
        let options = SendOptions::new().nonblocking();
        assert_eq!(stream.send_with(&data, &writer, options), gone);
        // Nor are they in flight to nobody.
        token.assert_all_closed();
    });
}

/// The control of the test above: without a flag it is the end.
#[test]
fn sending_a_descriptor_without_the_flag_to_a_closed_peer_dies_of_sigpipe() {
    let _watchdog = Watchdog::new();
    let test = "sending::sending_a_descriptor_without_the_flag_to_a_closed_peer_dies_of_sigpipe";
    let output = in_child(test, || {
        raise_sigpipe();
        let stream = UnixStream::pair().unwrap().0;
        control::send(&stream, stream.as_fd());
    });
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{output:?}");
}
