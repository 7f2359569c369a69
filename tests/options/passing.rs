//! What may come with a message.

use afunix::{
    AncillaryBuf, Errno, IoSlice, IoSliceMut, RecvOptions, SendError, SendOptions, Space,
    UnixDatagram, UnixListener, UnixSeqpacket, UnixStream,
};

use crate::common::Watchdog;
use crate::common::emulated::{is_set, skip_option};
use crate::traits::{Options, Queue, SO_INQ, SO_PASSRIGHTS, get_option, set_option};

for_all!(options_are_what_was_set);
for_data!(
    refused_descriptors_are_eperm
    security_context_costs_nothing_where_there_is_none
);

fn options_are_what_was_set<T: Options>(_: &str) {
    let socket = T::fresh();
    let rights = get_option(&socket, SO_PASSRIGHTS);
    assert_eq!(rights.is_err(), rights == Err(libc::ENOPROTOOPT));
    let is_known = rights.is_err() || is_set(socket.set_passrights(true));
    for on in [true, true, false, false, true] {
        assert_eq!(socket.set_passsec(on), Ok(()));
        assert_eq!(socket.passsec(), Ok(on));
        assert_eq!(get_option(&socket, libc::SO_PASSSEC), Ok(on.into()));
        if rights.is_err() {
            assert_eq!(socket.set_passrights(on), Err(Errno::NOPROTOOPT));
            assert_eq!(socket.passrights(), Err(Errno::NOPROTOOPT));
            continue;
        }
        if !is_known {
            continue;
        }
        // The one is not the other.
        assert_eq!(socket.set_passrights(!on), Ok(()));
        assert_eq!(socket.passrights(), Ok(!on));
        assert_eq!(get_option(&socket, SO_PASSRIGHTS), Ok((!on).into()));
        assert_eq!((socket.passsec(), socket.passcred()), (Ok(on), Ok(false)));
    }
    let socket = T::fresh();
    assert_eq!(socket.passsec(), Ok(false));
    if rights.is_ok() {
        assert_eq!(socket.passrights(), Ok(true));
    }
}

/// See "Descriptors can be refused" in `kernel.md`.
fn refused_descriptors_are_eperm<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    a.send_fds(b"before", &[a.as_fd()]).unwrap();
    if b.set_passrights(false) == Err(Errno::NOPROTOOPT) {
        return skip_option("SO_PASSRIGHTS is of Linux 6.16");
    }
    let refused = Err(SendError::Kernel(Errno::PERM));
    assert_eq!(a.send_fds(b"x", &[a.as_fd()]), refused);
    // Nothing of it is queued, be it more than is queued at once.
    assert_eq!(a.send_fds(&[1; 200_000], &[a.as_fd()]), refused);
    let queued = [a.unread_memory(), b.readable()];
    assert!(a.send_fds(&[1; 300_000], &[a.as_fd()]).is_err());
    assert_eq!([a.unread_memory(), b.readable()], queued);
    assert_eq!(b.readable(), Ok(6));
    // A message of no descriptors is none.
    let mut control = AncillaryBuf::<{ Space::new().rights::<1>().bytes() }>::new();
    let mut writer = control.writer();
    writer.push_fds(&[]).unwrap();
    let sent = a.send_with(&[IoSlice::new(b"da")], &writer, SendOptions::new());
    assert_eq!(sent.map(|sent| sent.bytes), Ok(2));
    assert_eq!(b.send_fds(b"x", &[a.as_fd()]).map(|sent| sent.bytes), Ok(1));
    assert!(b.recv_fds_exact::<1>(&mut [0; 6]).is_ok());
    assert_eq!(b.get(&mut [0; 8]), Ok(2));
    assert_eq!(a.put(b"data"), Ok(4));
    assert_eq!(b.get(&mut [0; 8]), Ok(4));
    b.set_passrights(true).unwrap();
    assert_eq!(a.send_fds(b"x", &[a.as_fd()]).map(|sent| sent.bytes), Ok(1));
}

fn security_context_costs_nothing_where_there_is_none<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_passsec(true).unwrap();
    a.put(b"x").unwrap();
    let mut control = AncillaryBuf::<{ Space::new().payload(256).bytes() }>::new();
    let mut buf = [0; 4];
    let data = &mut [IoSliceMut::new(&mut buf)];
    let (received, ancillary) = b.recv_with(data, &mut control, RecvOptions::new()).unwrap();
    assert_eq!(received.bytes, 1);
    let labels = std::path::Path::new("/proc/self/attr/current");
    let has = std::fs::read(labels).is_ok_and(|label| !label.is_empty());
    assert_eq!(ancillary.security_context().is_some(), has);
    // No name is given for it.
    let there = crate::common::name("server");
    let _server = T::serve(&there).unwrap();
    let client = T::unbound().unwrap();
    client.set_passsec(true).unwrap();
    client.connect_to(&there).unwrap();
    assert!(client.local_addr().unwrap().is_unnamed());
}

/// See "Bytes left are told by streams alone" in `kernel.md`.
#[test]
fn bytes_left_are_told_if_asked_for() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let (packet, _other) = UnixSeqpacket::pair().unwrap();
    assert_eq!(set_option(&packet, SO_INQ, 1_i32), Err(libc::ENOPROTOOPT));
    let (datagram, _other) = UnixDatagram::pair().unwrap();
    assert_eq!(set_option(&datagram, SO_INQ, 1_i32), Err(libc::ENOPROTOOPT));
    if b.set_inq(true) == Err(Errno::NOPROTOOPT) {
        return skip_option("SO_INQ is of Linux 6.17");
    }
    assert_eq!(get_option(&b, SO_INQ), Err(libc::ENOPROTOOPT));
    a.write(b"head and body").unwrap();
    let left = |options: RecvOptions<'_>| {
        let mut control = AncillaryBuf::<{ Space::new().bytes_left().bytes() }>::new();
        let mut buf = [0; 4];
        let data = &mut [IoSliceMut::new(&mut buf)];
        let (_, ancillary) = b.recv_with(data, &mut control, options).unwrap();
        ancillary.bytes_left()
    };
    // A peek has no control messages.
    assert_eq!(left(RecvOptions::new().peek()), None);
    assert_eq!(left(RecvOptions::new()), Some(9));
    assert_eq!(b.bytes_readable(), Ok(9));
    b.set_inq(false).unwrap();
    assert_eq!(left(RecvOptions::new()), None);
    b.set_inq(true).unwrap();
    b.set_inq(true).unwrap();
    assert_eq!(left(RecvOptions::new()), Some(1));
    assert_eq!(left(RecvOptions::new()), Some(0));
    // At the end there are none left.
    drop(a);
    assert_eq!(left(RecvOptions::new()), Some(0));
}

#[test]
fn bytes_left_may_be_asked_for_at_any_time() {
    let _watchdog = Watchdog::new();
    let (listener, there) = UnixListener::autobind().unwrap();
    let client = UnixStream::unbound().unwrap();
    if client.set_inq(true) == Err(Errno::NOPROTOOPT) {
        return skip_option("SO_INQ is of Linux 6.17");
    }
    client.connect_to(&there).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_inq(true).unwrap();
    for (from, to) in [(&client, &server), (&server, &client)] {
        from.write(b"hello").unwrap();
        let mut control = AncillaryBuf::<{ Space::new().bytes_left().bytes() }>::new();
        let mut buf = [0; 4];
        let data = &mut [IoSliceMut::new(&mut buf)];
        let (_, ancillary) = to.recv_with(data, &mut control, RecvOptions::new()).unwrap();
        assert_eq!(ancillary.bytes_left(), Some(1));
    }
}
