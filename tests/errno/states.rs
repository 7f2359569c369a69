//! Sockets that are bound, connected or listening already.

use std::os::unix::fs::MetadataExt;

use afunix::{Errno, OwnedFd};

use crate::common::kinds::{Connects, Data};
use crate::common::{TempDir, identity, name, snapshot};
use crate::table::*;

for_data!(
    bind_of_a_bound_socket_is_einval_and_makes_no_file
    bind_of_a_bound_socket_to_its_own_path_is_eaddrinuse_and_keeps_the_file
    bind_of_one_end_of_a_pair_names_it
);
for_connecting!(
    bind_of_a_listening_socket_is_einval
    bind_of_a_connected_socket_names_it
    connect_of_a_listener_is_einval_and_it_goes_on_listening
    connect_of_a_connected_socket_is_eisconn_and_keeps_its_peer
    connect_of_a_connected_socket_to_a_full_backlog_is_eagain
);

const INVAL: Result<(), Errno> = Err(Errno::INVAL);

/// See "Binding twice" in `kernel.md`.
fn bind_of_a_bound_socket_is_einval_and_makes_no_file<T: Data>(_: &str) {
    let folder = TempDir::new();
    let own = folder.addr("own");
    let socket = T::bind(&own).unwrap();
    let before = snapshot(folder.path());
    for target in [folder.addr("second"), name("second")] {
        assert_eq!(socket.bind_to(&target), INVAL, "{target}");
        assert!(T::bind(&target).is_ok(), "{target} must still be free");
        let _ = std::fs::remove_file(folder.join("second"));
    }
    assert_eq!(socket.local_addr(), Ok(own));
    assert_eq!(snapshot(folder.path()), before);
}

fn bind_of_a_bound_socket_to_its_own_path_is_eaddrinuse_and_keeps_the_file<T: Data>(_: &str) {
    let folder = TempDir::new();
    let own = folder.addr("own");
    let socket = T::bind(&own).unwrap();
    let before = snapshot(folder.path());
    assert_eq!(socket.bind_to(&own), IN_USE);
    assert_eq!(snapshot(folder.path()), before);
    assert_eq!(socket.local_addr(), Ok(own));
    assert_eq!(folder.path().join("own").symlink_metadata().unwrap().nlink(), 1);
}

fn bind_of_one_end_of_a_pair_names_it<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let own = name("pair");
    assert_eq!(a.bind_to(&own), OK);
    assert_eq!(b.peer_addr(), Ok(own));
    assert_eq!(a.bind_to(&name("again")), INVAL);
}

/// Takes a socket for another kind than it is, to make calls that the types rule out.
fn misread<T: Connects>(listener: T::Listener) -> T {
    T::from_fd_unchecked(listener.into())
}

fn bind_of_a_listening_socket_is_einval<T: Connects>(_: &str) {
    let (socket, own) = T::autobind().unwrap();
    let socket = misread::<T>(socket.listen(1).unwrap());
    assert_eq!(socket.bind_to(&name("second")), INVAL);
    assert_eq!(socket.local_addr(), Ok(own));
    assert!(T::connect(&own).is_ok());
}

fn bind_of_a_connected_socket_names_it<T: Connects>(_: &str) {
    let (socket, server) = T::autobind().unwrap();
    let _listener = socket.listen(1).unwrap();
    let (client, own) = (T::connect(&server).unwrap(), name("late"));
    assert_eq!(client.bind_to(&own), OK);
    assert_eq!((client.local_addr(), client.peer_addr()), (Ok(own), Ok(server)));
}

fn connect_of_a_listener_is_einval_and_it_goes_on_listening<T: Connects>(_: &str) {
    let (socket, own) = T::autobind().unwrap();
    let (other, other_name) = T::autobind().unwrap();
    let _other = other.listen(1).unwrap();
    let socket = misread::<T>(socket.listen(1).unwrap());
    assert_eq!(socket.connect_to(&own), INVAL, "to itself");
    assert_eq!(socket.connect_to(&other_name), INVAL, "to another");
    assert!(T::connect(&own).is_ok());
}

fn connect_of_a_connected_socket_is_eisconn_and_keeps_its_peer<T: Connects>(_: &str) {
    let [(first, first_name), (second, second_name)] = [(); 2].map(|()| T::autobind().unwrap());
    let _listening = (first.listen(1).unwrap(), second.listen(1).unwrap());
    let client = T::connect(&first_name).unwrap();
    for target in [first_name, second_name] {
        assert_eq!(client.connect_to(&target), Err(Errno::ISCONN));
        assert_eq!(client.peer_addr(), Ok(first_name));
    }
    // Nothing is pending at the second: its two places are free.
    let clients = [(); 2].map(|()| T::unbound().unwrap());
    for client in &clients {
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.connect_to(&second_name), OK);
    }
}

/// The backlog is looked at before the state of the socket that connects.
fn connect_of_a_connected_socket_to_a_full_backlog_is_eagain<T: Connects>(_: &str) {
    let (socket, server) = T::autobind().unwrap();
    let _listener = socket.listen(0).unwrap();
    let client = T::connect(&server).unwrap();
    client.set_nonblocking(true).unwrap();
    assert_eq!(client.connect_to(&server), Err(Errno::AGAIN));
    assert_eq!(client.peer_addr(), Ok(server));
    assert_eq!(client.put(b"x"), Ok(1));
}

#[test]
fn socket_whose_calls_failed_is_the_same_descriptor_as_before() {
    let _watchdog = crate::common::Watchdog::new();
    let socket = afunix::UnixStream::unbound().unwrap();
    let before = identity(&socket);
    assert_eq!(socket.connect_to(&name("nobody")), REFUSED);
    assert_eq!(socket.bind_to(&afunix::UnixAddr::UNNAMED), INVAL);
    assert_eq!(identity(&OwnedFd::from(socket)), before);
}
