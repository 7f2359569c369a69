//! Listeners: coming to listen, and taking connections.

use std::thread;

use afunix::{Errno, Shutdown, UnixAddr};

use crate::common::kinds::{Connects, Listens, Socket};
use crate::common::{TempDir, identity, name, start_waiting};

for_connecting!(
    bound_socket_that_listens_keeps_its_descriptor_and_its_name
    listener_at_a_path_and_at_a_name_takes_connections_in_order
    accept_waits_for_a_connection
    accept_that_waits_is_einval_when_the_listener_is_shut_down
    accept_gives_a_connection_that_its_client_has_closed_with_what_it_sent
    connection_that_is_not_accepted_yet_carries_data
    listener_that_closes_resets_what_is_pending
    connect_that_waits_is_refused_when_the_listener_closes
    connect_that_waits_goes_on_when_there_is_room
);

fn bound_socket_that_listens_keeps_its_descriptor_and_its_name<T: Connects>(_: &str) {
    let socket = T::bind(&name("name")).unwrap();
    let (before, own) = (identity(&socket), socket.local_addr());
    let listener = socket.listen(1).unwrap();
    assert_eq!((identity(&listener), listener.local_addr()), (before, own));
}

fn listener_at_a_path_and_at_a_name_takes_connections_in_order<T: Connects>(_: &str) {
    let folder = TempDir::new();
    for server in [folder.addr("server"), name("server")] {
        let listener = T::Listener::bind(&server).unwrap();
        let clients = [1_u8, 2, 3].map(|number| (number, T::connect(&server).unwrap()));
        for (number, client) in &clients {
            assert_eq!(client.put(&[*number]), Ok(1));
        }
        for (number, client) in &clients {
            let (connection, from) = listener.accept().unwrap();
            assert_eq!(from, UnixAddr::UNNAMED);
            let mut buf = [0];
            assert_eq!((connection.get(&mut buf), buf), (Ok(1), [*number]));
            assert_eq!(connection.put(&[*number, 0]), Ok(2));
            assert_eq!(client.get(&mut [0; 4]), Ok(2));
        }
    }
}

fn accept_waits_for_a_connection<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    thread::scope(|scope| {
        let accepting = start_waiting(scope, || listener.accept().map(drop));
        let _client = T::connect(&server).unwrap();
        assert_eq!(accepting.join().unwrap(), Ok(()));
    });
}

fn accept_that_waits_is_einval_when_the_listener_is_shut_down<T: Connects>(_: &str) {
    let (listener, _) = T::Listener::autobind().unwrap();
    thread::scope(|scope| {
        let accepting = start_waiting(scope, || listener.accept().map(drop));
        listener.shutdown(Shutdown::Read).unwrap();
        assert_eq!(accepting.join().unwrap(), Err(Errno::INVAL));
    });
}

fn accept_gives_a_connection_that_its_client_has_closed_with_what_it_sent<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    let own = name("client");
    let client = T::connect_from_to(&own, &server).unwrap();
    assert_eq!(client.put(b"last words"), Ok(10));
    drop(client);
    let (connection, from) = listener.accept().unwrap();
    assert_eq!(from, own);
    assert_eq!(connection.get(&mut [0; 16]), Ok(10));
    assert_eq!(connection.get(&mut [0; 16]), Ok(0));
}

fn connection_that_is_not_accepted_yet_carries_data<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    let client = T::connect(&server).unwrap();
    assert_eq!(client.peer_addr(), Ok(server));
    assert_eq!(client.put(b"early"), Ok(5));
    let (connection, _) = listener.accept().unwrap();
    let mut buf = [0; 8];
    assert_eq!(connection.get(&mut buf), Ok(5));
    assert_eq!(&buf[..5], b"early");
}

fn listener_that_closes_resets_what_is_pending<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    let client = T::connect(&server).unwrap();
    drop(listener);
    assert_eq!(client.get(&mut [0]), Err(Errno::CONNRESET));
    assert_eq!(client.get(&mut [0]), Ok(0));
    assert_eq!(T::connect(&server).map(drop), Err(Errno::CONNREFUSED));
}

fn connect_that_waits_is_refused_when_the_listener_closes<T: Connects>(_: &str) {
    let server = name("server");
    let listener = T::Listener::bind_with_backlog(&server, 0).unwrap();
    let _first = T::connect(&server).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || T::connect(&server).map(drop));
        drop(listener);
        assert_eq!(waiting.join().unwrap(), Err(Errno::CONNREFUSED));
    });
}

fn connect_that_waits_goes_on_when_there_is_room<T: Connects>(_: &str) {
    let server = name("server");
    let listener = T::Listener::bind_with_backlog(&server, 0).unwrap();
    let _first = T::connect(&server).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || T::connect(&server));
        drop(listener.accept().unwrap());
        let client = waiting.join().unwrap().unwrap();
        assert_eq!(client.put(b"x"), Ok(1));
        assert_eq!(listener.accept().unwrap().0.get(&mut [0]), Ok(1));
    });
}
