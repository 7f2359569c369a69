//! Calls that would have to wait, and must not.

use std::thread;

use afunix::{Errno, IoSlice, IoSliceMut, UnixDatagram, UnixStream};

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{Watchdog, identity, name, start_waiting};

for_all!(nonblocking_is_a_flag_of_the_open_socket_and_of_nothing_else);
for_data!(
    receive_of_nothing_is_eagain_and_then_waits_again
    send_without_room_is_eagain_until_there_is_some
);
for_connecting!(accept_of_nothing_is_eagain_and_leaves_the_variable);

fn nonblocking_is_a_flag_of_the_open_socket_and_of_nothing_else<T: Socket>(_: &str) {
    let socket = T::fresh();
    let duplicate = rustix::io::fcntl_dupfd_cloexec(&socket, 0).unwrap();
    let before = identity(&socket);
    for nonblocking in [true, true, false, false] {
        socket.set_nonblocking(nonblocking).unwrap();
        let flag = if nonblocking { libc::O_NONBLOCK } else { 0 };
        let (fd, inode, descriptor_flags, _) = before;
        assert_eq!(identity(&socket), (fd, inode, descriptor_flags, libc::O_RDWR | flag));
        assert_eq!(identity(&duplicate).3, libc::O_RDWR | flag);
    }
}

fn receive_of_nothing_is_eagain_and_then_waits_again<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_nonblocking(true).unwrap();
    let mut buf = [7; 4];
    assert_eq!(b.get(&mut buf), Err(Errno::AGAIN));
    assert_eq!(buf, [7; 4]);
    b.set_nonblocking(false).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || b.get(&mut buf));
        a.put(b"word").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(4));
    });
    assert_eq!(&buf, b"word");
}

#[test]
fn vectored_calls_and_recv_from_are_eagain_too() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    let mut buf = [7; 4];
    assert_eq!(b.read_vectored(&mut [IoSliceMut::new(&mut buf)]), Err(Errno::AGAIN));
    while a.write(&[0; 4096]).is_ok() {}
    while a.write(&[0]).is_ok() {}
    assert_eq!(a.write_vectored(&[IoSlice::new(b"x")]), Err(Errno::AGAIN));

    let (socket, own) = UnixDatagram::autobind().unwrap();
    socket.set_nonblocking(true).unwrap();
    let before = name("before");
    let mut from = before;
    assert_eq!(socket.recv_from_into(&mut buf, &mut from), Err(Errno::AGAIN));
    assert_eq!((from, buf), (before, [7; 4]));
    assert_eq!(socket.recv_from(&mut buf).map(drop), Err(Errno::AGAIN));
    assert_eq!(socket.send_to(b"x", &own), Ok(1));
    assert_eq!(socket.recv_from_into(&mut buf, &mut from).map(|got| got.size), Ok(1));
    assert_eq!(from, own);
}

fn send_without_room_is_eagain_until_there_is_some<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while a.put(&[1; 1000]).is_ok_and(|count| count == 1000) {
        sent += 1;
    }
    assert!(sent > 0);
    while a.put(&[1]).is_ok() {}
    assert_eq!(a.put(&[1]), Err(Errno::AGAIN));
    assert_eq!(a.take_error(), Ok(None));
    for _ in 0..sent {
        assert_eq!(b.get(&mut [0; 1000]), Ok(1000));
    }
    assert_eq!(a.put(&[1]), Ok(1));
}

fn accept_of_nothing_is_eagain_and_leaves_the_variable<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    listener.set_nonblocking(true).unwrap();
    let before = name("before");
    let mut from = before;
    assert_eq!(listener.accept_into(&mut from).map(drop), Err(Errno::AGAIN));
    assert_eq!(from, before);
    assert_eq!(listener.accept().map(drop), Err(Errno::AGAIN));
    let _client = T::connect(&server).unwrap();
    assert!(listener.accept_into(&mut from).is_ok());
    assert!(from.is_unnamed());
}
