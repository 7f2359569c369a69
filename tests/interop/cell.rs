//! One cell of the matrix: one of ours and one of theirs meet, talk, and tell each other's names.

use afunix::{Errno, UnixAddr, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::common::{TempDir, Watchdog};
use crate::name::{Name, Names};
use crate::peer::{Kind, Peer, answer, payload};
use crate::sockets::Connected;

/// Who is the server.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Direction {
    OursServes,
    TheirsServes,
}

/// Runs the cells of one kind of names.
pub fn run(direction: Direction, peer: Peer, kind: Kind, names: fn(&TempDir) -> Names) {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    for (server, client) in names(&dir) {
        // The server's name is used by both ends, the client's by itself.
        let ours_only = direction == Direction::TheirsServes;
        let named_by_peer = [Some(&server), (!ours_only).then_some(&client)];
        if peer == Peer::Python {
            if let Some(name) = named_by_peer.into_iter().flatten().find(|name| name.is_full_path())
            {
                peer.refuses(kind, name);
                continue;
            }
        }
        match (direction, kind) {
            (Direction::OursServes, Kind::Stream) => {
                ours_serves::<UnixStream>(peer, kind, server, client);
            }
            (Direction::OursServes, Kind::Seqpacket) => {
                ours_serves::<UnixSeqpacket>(peer, kind, server, client);
            }
            (Direction::OursServes, Kind::Datagram) => ours_receives(peer, server, client),
            (Direction::TheirsServes, Kind::Stream) => {
                theirs_serves::<UnixStream>(peer, kind, server, client);
            }
            (Direction::TheirsServes, Kind::Seqpacket) => {
                theirs_serves::<UnixSeqpacket>(peer, kind, server, client);
            }
            (Direction::TheirsServes, Kind::Datagram) => theirs_receives(peer, server, client),
        }
    }
}

fn ours_serves<S: Connected>(peer: Peer, kind: Kind, server: Name, client: Name) {
    let (listener, addr) = S::listener(&server);
    let server = server.settle(addr.as_abstract_name());
    server.check(&addr);

    let theirs = peer.start(kind, &client, Some(&server), false);
    let client = theirs.is_ready_as(client);
    theirs.tells("peer", &server);

    let (ours, from) = S::accepted(&listener);
    client.check(&from);
    let (local, remote) = ours.names();
    server.check(&local);
    client.check(&remote);

    assert_eq!(ours.get(), payload());
    ours.put(&answer());
    theirs.received(&server, &answer());
    theirs.ends();
}

fn theirs_serves<S: Connected>(peer: Peer, kind: Kind, server: Name, client: Name) {
    let theirs = peer.start(kind, &server, None, false);
    let server = theirs.is_ready_as(server);

    let ours = S::connected(&client, &server.addr());
    let (local, remote) = ours.names();
    let client = client.settle(local.as_abstract_name());
    client.check(&local);
    server.check(&remote);

    ours.put(&payload());
    assert_eq!(ours.get(), answer());
    theirs.tells("accepted", &client);
    theirs.tells("local", &server);
    theirs.tells("peer", &client);
    theirs.received(&client, &payload());
    theirs.ends();
}

/// A datagram socket of ours, with its name.
fn datagram(name: Name) -> (UnixDatagram, Name) {
    let socket = match &name {
        Name::Unnamed => UnixDatagram::unbound().unwrap(),
        Name::Autobound => {
            let (socket, addr) = UnixDatagram::autobind().unwrap();
            assert_eq!(socket.local_addr(), Ok(addr));
            socket
        }
        name => UnixDatagram::bind(&name.addr()).unwrap(),
    };
    let addr = socket.local_addr().unwrap();
    let name = name.settle(addr.as_abstract_name());
    name.check(&addr);
    (socket, name)
}

#[track_caller]
fn expect_datagram(ours: &UnixDatagram, from: &Name, data: &[u8]) -> UnixAddr {
    let mut buf = [0; 512];
    let (received, seen) = ours.recv_from(&mut buf).unwrap();
    assert!(!received.is_truncated());
    assert_eq!(&buf[..received.bytes], data);
    from.check(&seen);
    seen
}

fn ours_receives(peer: Peer, server: Name, client: Name) {
    let (ours, server) = datagram(server);
    let mute = matches!(client, Name::Unnamed);
    let theirs = peer.start(Kind::Datagram, &client, Some(&server), mute);
    let client = theirs.is_ready_as(client);
    theirs.tells("peer", &server);

    // The answer goes to the very address that was received.
    let from = expect_datagram(&ours, &client, &payload());
    if mute {
        assert_eq!(ours.send_to(&answer(), &from), Err(Errno::INVAL));
    } else {
        assert_eq!(ours.send_to(&answer(), &from), Ok(answer().len()));
        theirs.received(&server, &answer());
    }
    theirs.ends();
}

fn theirs_receives(peer: Peer, server: Name, client: Name) {
    // Python sees a sender with a path of 108 bytes, but refuses to send to it.
    let refuses = peer == Peer::Python && client.is_full_path();
    if refuses {
        peer.refuses(Kind::Datagram, &client);
    }
    let mute = refuses || matches!(client, Name::Unnamed);
    let theirs = peer.start(Kind::Datagram, &server, None, mute);
    let server = theirs.is_ready_as(server);

    let (ours, client) = datagram(client);
    // Connected first, since the peer may be gone once it has answered.
    ours.connect(&server.addr()).unwrap();
    server.check(&ours.peer_addr().unwrap());
    assert_eq!(ours.send_to(&payload(), &server.addr()), Ok(payload().len()));

    theirs.received(&client, &payload());
    if !mute {
        expect_datagram(&ours, &server, &answer());
    }
    theirs.ends();
}
