//! Listening, accepting, and the backlog.

use afunix::{Errno, Shutdown, UnixAddr, UnixDatagram, UnixListener, UnixStream};

use crate::common::kinds::{Connects, Listens, Socket};
use crate::common::{identity, keeping_errno, name};
use crate::table::*;

for_connecting!(
    listen_without_a_name_is_einval_and_gives_back_a_usable_socket
    listen_of_a_connected_socket_is_einval_and_gives_back_the_connection
    listen_of_a_listener_is_fine_and_keeps_what_is_pending
    accept_of_a_socket_that_does_not_listen_is_einval
    accept_of_a_listener_that_was_shut_down_is_einval_behind_what_was_queued
    backlog_of_n_admits_one_more_then_says_eagain_and_the_same_socket_may_retry
    negative_backlog_asks_for_as_many_as_the_system_allows
    listener_that_names_no_backlog_admits_as_many_as_the_system_allows
);

fn listening<T: Connects>(backlog: i32) -> (T::Listener, UnixAddr) {
    let (socket, name) = T::autobind().unwrap();
    (socket.listen(backlog).unwrap(), name)
}

fn listen_without_a_name_is_einval_and_gives_back_a_usable_socket<T: Connects>(_: &str) {
    let socket = T::unbound().unwrap();
    let before = identity(&socket);
    let refused = keeping_errno(|| socket.listen(1)).unwrap_err();
    assert_eq!(refused.errno(), Errno::INVAL);
    assert_eq!(refused.to_string(), format!("cannot listen: {}", Errno::INVAL));
    let socket = refused.into_socket();
    assert_eq!(identity(&socket), before);
    let own = name("later");
    assert_eq!(socket.bind_to(&own), OK);
    let _listener = socket.listen(1).unwrap();
    assert!(T::connect(&own).is_ok());
}

fn listen_of_a_connected_socket_is_einval_and_gives_back_the_connection<T: Connects>(_: &str) {
    let (_listener, server) = listening::<T>(1);
    // One has a name, the other has none.
    let named = T::connect_from_to(&name("client"), &server).unwrap();
    let (unnamed, _other) = T::pair().unwrap();
    for socket in [named, unnamed] {
        let peer = socket.peer_addr();
        let refused = socket.listen(1).unwrap_err();
        assert_eq!(refused.errno(), Errno::INVAL);
        let socket = refused.into_socket();
        assert_eq!(socket.peer_addr(), peer);
        assert_eq!(socket.put(b"x"), Ok(1));
    }
}

fn listen_of_a_listener_is_fine_and_keeps_what_is_pending<T: Connects>(_: &str) {
    let (listener, server) = listening::<T>(3);
    let clients = [(); 3].map(|()| T::connect(&server).unwrap());
    assert_eq!(listener.listen(0), OK);
    let late = T::unbound().unwrap();
    late.set_nonblocking(true).unwrap();
    assert_eq!(late.connect_to(&server), Err(Errno::AGAIN));
    for client in &clients {
        let (connection, _) = listener.accept().unwrap();
        assert_eq!(connection.put(b"x"), Ok(1));
        assert_eq!(client.get(&mut [0]), Ok(1));
    }
    assert_eq!(late.connect_to(&server), OK);
}

fn accept_of_a_socket_that_does_not_listen_is_einval<T: Connects>(_: &str) {
    let (socket, own) = T::autobind().unwrap();
    let listener = T::Listener::from_fd_unchecked(socket.into());
    let mut from = own;
    assert_eq!(keeping_errno(|| listener.accept_into(&mut from)).map(drop), Err(Errno::INVAL));
    assert_eq!(from, own);
    assert_eq!(listener.listen(1), OK);
    let _client = T::connect(&own).unwrap();
    assert!(listener.accept().is_ok());
}

#[test]
fn listening_is_eopnotsupp_for_datagrams() {
    let _watchdog = crate::common::Watchdog::new();
    let (socket, own) = UnixDatagram::autobind().unwrap();
    let refused = UnixStream::from_fd_unchecked(socket.into()).listen(1).unwrap_err();
    assert_eq!(refused.errno(), Errno::OPNOTSUPP);
    let listener = UnixListener::from_fd_unchecked(refused.into_socket().into());
    assert_eq!(listener.accept().map(drop), Err(Errno::OPNOTSUPP));
    let socket = UnixDatagram::try_from(afunix::OwnedFd::from(listener)).unwrap();
    assert_eq!(socket.send_to(b"x", &own), Ok(1));
}

fn accept_of_a_listener_that_was_shut_down_is_einval_behind_what_was_queued<T: Connects>(_: &str) {
    let (listener, server) = listening::<T>(5);
    let (client, mut from) = (T::connect(&server).unwrap(), name("untouched"));
    listener.shutdown(Shutdown::Read).unwrap();
    assert_eq!(T::connect(&server).map(drop), REFUSED);
    let (connection, _) = listener.accept().unwrap();
    assert_eq!(client.put(b"x"), Ok(1));
    assert_eq!(connection.get(&mut [0]), Ok(1));
    let before = from;
    assert_eq!(listener.accept_into(&mut from).map(drop), Err(Errno::INVAL));
    assert_eq!(from, before);
    assert_eq!(listener.local_addr(), Ok(server));
}

/// See "A backlog of n admits n + 1" in `kernel.md`.
fn backlog_of_n_admits_one_more_then_says_eagain_and_the_same_socket_may_retry<T: Connects>(
    _: &str,
) {
    for backlog in [0_i32, 1, 5] {
        let server = name("server");
        let listener = T::Listener::bind_with_backlog(&server, backlog).unwrap();
        let clients: Vec<_> = (0..=backlog).map(|_| T::connect(&server).unwrap()).collect();
        let late = T::unbound().unwrap();
        late.set_nonblocking(true).unwrap();
        for _ in 0..2 {
            assert_eq!(keeping_errno(|| late.connect_to(&server)), Err(Errno::AGAIN), "{backlog}");
            assert_eq!(late.peer_addr(), Err(Errno::NOTCONN));
        }
        drop(listener.accept().unwrap());
        assert_eq!(late.connect_to(&server), OK, "{backlog}");
        assert_eq!(late.connect_to(&server), Err(Errno::AGAIN), "{backlog}");
        drop(clients);
        // Closed by their clients, they can be accepted all the same.
        for _ in 0..=backlog {
            assert!(listener.accept().is_ok(), "{backlog}");
        }
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().map(drop), Err(Errno::AGAIN), "{backlog}");
    }
}

/// The kernel's limit, or as much of it as tells it from any small backlog.
fn many() -> usize {
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    somaxconn.trim().parse::<usize>().unwrap().min(200)
}

/// Panics unless that many connections can be pending at once.
fn check_admits_many<T: Connects>(server: &UnixAddr) {
    let clients = [(); 200].map(|()| T::unbound().unwrap());
    for client in clients.iter().take(many()) {
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.connect_to(server), OK);
    }
}

fn negative_backlog_asks_for_as_many_as_the_system_allows<T: Connects>(_: &str) {
    let (_listener, server) = listening::<T>(-1);
    check_admits_many::<T>(&server);
    let server = name("server");
    let _bound = T::Listener::bind_with_backlog(&server, -1).unwrap();
    check_admits_many::<T>(&server);
}

fn listener_that_names_no_backlog_admits_as_many_as_the_system_allows<T: Connects>(_: &str) {
    let server = name("server");
    let _bound = T::Listener::bind(&server).unwrap();
    check_admits_many::<T>(&server);
    let (_listener, server) = T::Listener::autobind().unwrap();
    check_admits_many::<T>(&server);
}
