//! Names as others see them: at `accept`, with a message, and as the address of the peer.

use afunix::{UnixAddr, UnixDatagram};

use crate::common::kinds::{Connects, Listens, Socket};
use crate::common::{TempDir, addr, name};

for_connecting!(
    accept_sees_each_form_of_name_that_the_peer_has
    peer_addr_of_each_form_is_the_name_of_the_listener
    peer_addr_stays_after_the_peer_closed
    name_that_the_peer_gets_late_is_seen
);

/// Names of all forms and of the lengths at which something changes, none of them in use.
fn forms(folder: &TempDir) -> Vec<UnixAddr> {
    let tag = name("form");
    let tag = tag.as_abstract_name().unwrap();
    let longest: Vec<u8> = tag.iter().copied().chain([b'x'; 107]).take(107).collect();
    let mut forms = vec![
        folder.addr("a"),
        folder.addr("\u{e4} \n@"),
        addr(folder.path_of_len(106)),
        addr(folder.path_of_len(107)),
        addr(folder.path_of_len(108)),
        UnixAddr::from_abstract_padded(tag).unwrap(),
    ];
    let inside = [tag, b"\0in\0side"].concat();
    let behind = [tag, b"\0\0"].concat();
    let before = [b"\0/", tag].concat();
    for name in [tag, &longest, &inside, &behind, &before] {
        forms.push(UnixAddr::from_abstract_name(name).unwrap());
    }
    forms
}

fn accept_sees_each_form_of_name_that_the_peer_has<T: Connects>(_: &str) {
    let folder = TempDir::new();
    let (listener, server) = T::Listener::autobind().unwrap();
    // It holds whatever it was given last, of any length.
    let mut from = UnixAddr::UNNAMED;
    for own in forms(&folder) {
        let client = T::connect_from_to(&own, &server).unwrap();
        let connection = listener.accept_into(&mut from).unwrap();
        assert_eq!((from, from.addr_len()), (own, own.addr_len()));
        assert_eq!(from.as_pathname_cstr(), own.as_pathname_cstr());
        assert_eq!((client.local_addr(), connection.peer_addr()), (Ok(own), Ok(own)));
        drop(T::connect(&server).unwrap());
        listener.accept_into(&mut from).unwrap();
        assert_eq!(from, UnixAddr::UNNAMED);

        let (client, late) = (T::unbound().unwrap(), T::connect(&server).unwrap());
        client.connect_to(&server).unwrap();
        assert_eq!(listener.accept().unwrap().1, UnixAddr::UNNAMED);
        assert_eq!(listener.accept().unwrap().1, UnixAddr::UNNAMED);
        drop((client, late));
    }
}

fn peer_addr_of_each_form_is_the_name_of_the_listener<T: Connects>(_: &str) {
    let folder = TempDir::new();
    let mut variable = name("variable");
    for server in forms(&folder) {
        let listener = T::Listener::bind(&server).unwrap();
        assert_eq!(listener.local_addr(), Ok(server));
        let client = T::connect(&server).unwrap();
        let (connection, _) = listener.accept().unwrap();
        client.peer_addr_into(&mut variable).unwrap();
        assert_eq!((variable, variable.addr_len()), (server, server.addr_len()));
        // The accepted socket has the name of the listener too.
        assert_eq!(connection.local_addr(), Ok(server));
    }
}

/// See "A peer's name outlives the peer" in `kernel.md`.
fn peer_addr_stays_after_the_peer_closed<T: Connects>(_: &str) {
    let folder = TempDir::new();
    let (server, own) = (folder.addr("server"), folder.addr("client"));
    let listener = T::Listener::bind(&server).unwrap();
    let client = T::connect_from_to(&own, &server).unwrap();
    let (connection, _) = listener.accept().unwrap();
    drop((listener, connection));
    std::fs::remove_file(folder.join("server")).unwrap();
    assert_eq!(client.peer_addr(), Ok(server));
    assert_eq!(client.get(&mut [0]), Ok(0));
    assert_eq!(client.peer_addr(), Ok(server));
}

fn name_that_the_peer_gets_late_is_seen<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    let client = T::connect(&server).unwrap();
    let late = name("late");
    client.bind_to(&late).unwrap();
    let (connection, from) = listener.accept().unwrap();
    assert_eq!(from, late);
    assert_eq!(connection.peer_addr(), Ok(late));
}

#[test]
fn recv_from_sees_each_form_of_name_that_the_sender_has() {
    let _watchdog = crate::common::Watchdog::new();
    let folder = TempDir::new();
    let (receiver, there) = UnixDatagram::autobind().unwrap();
    let anonymous = UnixDatagram::unbound().unwrap();
    let (mut from, mut buf) = (name("before"), [0; 8]);
    for own in forms(&folder) {
        let sender = UnixDatagram::bind(&own).unwrap();
        assert_eq!(sender.send_to(b"named", &there), Ok(5));
        assert_eq!(anonymous.send_to(b"unnamed", &there), Ok(7));
        assert_eq!(receiver.recv_from_into(&mut buf, &mut from).unwrap().size, 5);
        assert_eq!((from, from.addr_len()), (own, own.addr_len()));
        assert_eq!(from.as_pathname_cstr(), own.as_pathname_cstr());
        assert_eq!(receiver.recv_from_into(&mut buf, &mut from).unwrap().size, 7);
        assert_eq!(from, UnixAddr::UNNAMED);
        // The answer goes where it should.
        assert_eq!(receiver.send_to(b"answer", &own), Ok(6));
        assert_eq!(sender.recv_from(&mut buf).unwrap().1, there);
        assert_eq!(&buf[..6], b"answer");
    }
}

/// See "A sender's name is looked up when the message is received" in `kernel.md`.
#[test]
fn recv_from_sees_the_name_that_the_sender_got_after_it_sent() {
    let _watchdog = crate::common::Watchdog::new();
    let (receiver, there) = UnixDatagram::autobind().unwrap();
    let (sender, late) = (UnixDatagram::unbound().unwrap(), name("late"));
    assert_eq!(sender.send_to(b"x", &there), Ok(1));
    sender.bind_to(&late).unwrap();
    assert_eq!(receiver.recv_from(&mut [0]).unwrap().1, late);
}

#[test]
fn recv_from_sees_the_name_of_a_sender_that_is_gone() {
    let _watchdog = crate::common::Watchdog::new();
    let folder = TempDir::new();
    let (receiver, there) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::bind(&folder.addr("gone")).unwrap();
    assert_eq!(sender.send_to(b"x", &there), Ok(1));
    drop(sender);
    std::fs::remove_file(folder.join("gone")).unwrap();
    assert_eq!(receiver.recv_from(&mut [0]).unwrap().1, folder.addr("gone"));
}

#[test]
fn peer_addr_of_a_datagram_stays_until_a_send_finds_the_peer_gone() {
    let _watchdog = crate::common::Watchdog::new();
    let (server, there) = UnixDatagram::autobind().unwrap();
    let client = UnixDatagram::unbound().unwrap();
    client.connect(&there).unwrap();
    drop(server);
    assert_eq!(client.peer_addr(), Ok(there));
    assert_eq!(client.send(b"x"), Err(afunix::Errno::CONNREFUSED));
    assert_eq!(client.peer_addr(), Err(afunix::Errno::NOTCONN));
}
