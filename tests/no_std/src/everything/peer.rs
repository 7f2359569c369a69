//! Who is at the other end.

use core::fmt::Write;

use afunix::{
    AsFd, Credentials, Errno, Gid, Peer, PeerCredentials, PeerError, Pid, Uid, UnixDatagram,
    UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream, Wanted,
};
use rustix::process::{getegid, geteuid, getpid};

use crate::addr::digest;
use crate::check::{Failure, opaque};
use crate::out::{Line, shows};
use crate::{check, get};

pub fn run() -> Result<(), Failure> {
    let (stream, _kept) = get!(UnixStream::pair());
    asked(&stream, || stream.peer_credentials(), || stream.peer())?;
    let mut buf = opaque([Gid::ROOT; 256]);
    check!(known(stream.peer_groups(&mut buf).map(drop)));
    check!(known(stream.peer_pidfd().map(drop)));
    check!(known(stream.peer_security_context(&mut opaque([0; 256])).map(drop)));
    let (datagram, _kept) = get!(UnixDatagram::pair());
    asked(&datagram, || datagram.peer_credentials(), || datagram.peer())?;
    check!(known(datagram.peer_groups(&mut []).map(drop)));
    check!(known(datagram.peer_pidfd().map(drop)));
    check!(known(datagram.peer_security_context(&mut []).map(drop)));
    let (seqpacket, _kept) = get!(UnixSeqpacket::pair());
    asked(&seqpacket, || seqpacket.peer_credentials(), || seqpacket.peer())?;
    check!(known(seqpacket.peer_groups(&mut buf).map(drop)));
    check!(known(seqpacket.peer_pidfd().map(drop)));
    check!(known(seqpacket.peer_security_context(&mut []).map(drop)));
    accepted()?;
    refused()?;
    errors()
}

/// An answer that may depend on the kernel and on who runs this.
fn known(answer: Result<(), PeerError>) -> bool {
    matches!(answer, Ok(()) | Err(PeerError::Unsupported(_) | PeerError::TooSmall { .. }))
}

fn asked(
    fd: impl AsFd,
    credentials: impl Fn() -> Result<PeerCredentials, PeerError>,
    peer: impl Fn() -> Result<Peer, PeerError>,
) -> Result<(), Failure> {
    let found = get!(credentials());
    check!(Ok(found) == afunix::peer_credentials(&fd));
    check!(found.pid == Some(getpid()));
    check!(found.euid == geteuid() && found.egid == getegid());
    shows(&found)?;
    let mut line = Line::new();
    check!(write!(line, "{found}").is_ok());
    check!(digest(&found) == digest(&found.clone()));
    match peer() {
        Ok(peer) => {
            check!(peer.credentials == found);
            shows(&peer)?;
        }
        Err(error) => check!(known(Err(error))),
    }
    check!(known(afunix::peer(&fd).map(drop)));
    check!(known(afunix::peer_pidfd(&fd).map(drop)));
    check!(known(afunix::peer_groups(&fd, &mut opaque([Gid::ROOT; 4])).map(drop)));
    check!(known(afunix::peer_security_context(&fd, &mut opaque([0; 4])).map(drop)));
    Ok(())
}

fn accepted() -> Result<(), Failure> {
    let (listener, name) = get!(UnixListener::autobind());
    let (_first, _second) = (get!(UnixStream::connect(&name)), get!(UnixStream::connect(&name)));
    let (_stream, from, peer) = get!(listener.accept_peer());
    check!(from.is_unnamed() && peer.pid == Some(getpid()));
    let mut from = name;
    let (_stream, again) = get!(listener.accept_peer_into(opaque(&mut from)));
    check!(from.is_unnamed() && again == peer);
    let (listener, name) = get!(UnixSeqpacketListener::autobind());
    let _client = get!(UnixSeqpacket::connect(&name));
    let (_seqpacket, _from, peer) = get!(listener.accept_peer());
    check!(peer == again);
    let _client = get!(UnixSeqpacket::connect(&name));
    let mut from = name;
    check!(listener.accept_peer_into(&mut from).is_ok());
    Ok(())
}

fn refused() -> Result<(), Failure> {
    let (user, group) = (Uid::from_raw(opaque(1000)), Gid::from_raw(opaque(100)));
    let found = Credentials { pid: Pid::from_raw(opaque(42)), uid: user, gid: group };
    check!(found.require_user(user).is_ok() && found.require_group(group, &[]).is_ok());
    let refusal = get!(found.require_root().err());
    check!(refusal.errno() == Errno::ACCESS && refusal.wanted == Wanted::User(Uid::ROOT));
    let mut line = Line::new();
    check!(writeln!(line, "{refusal}").is_ok());
    shows(&refusal)?;
    check!(digest(&refusal) != 0);
    let other = get!(found.require_group(Gid::from_raw(7), opaque(&[Gid::ROOT])).err());
    check!(write!(line, "{}", other.wanted).is_ok());
    let other = get!(found.require_process(getpid()).err());
    check!(write!(line, "{}", other.wanted).is_ok());
    let nobody = Credentials { uid: Uid::from_raw(65534), ..found };
    check!(nobody.require_user(nobody.uid).is_err());

    let (a, _b) = get!(UnixStream::pair());
    let peer = get!(a.peer_credentials());
    check!(peer.require_process(getpid()).is_ok());
    check!(peer.require_same_user().is_ok() || peer.euid.as_raw() == 65534);
    check!(peer.require_user(Uid::from_raw(65533)).is_err());
    check!(peer.require_root().is_ok() == peer.euid.is_root());
    check!(peer.require_group(Gid::from_raw(65533), &[]).is_err());
    let mine = Credentials { uid: geteuid(), ..found };
    check!(mine.require_same_user().is_ok() || mine.uid.as_raw() == 65534);
    Ok(())
}

fn errors() -> Result<(), Failure> {
    let nobody = get!(UnixStream::unbound());
    let error = get!(nobody.peer_credentials().err());
    check!(error == PeerError::NotConnected && error.errno() == Errno::NOTCONN);
    let mut line = Line::new();
    for error in [
        error,
        PeerError::Kernel(opaque(Errno::PERM)),
        PeerError::Accept(opaque(Errno::MFILE)),
        PeerError::Unsupported(opaque(Errno::NOPROTOOPT)),
        get!(afunix::peer_credentials(get!(UnixDatagram::unbound())).err()),
    ] {
        check!(writeln!(line, "{error}").is_ok());
        shows(&error)?;
        check!(digest(&error) != 0 && Errno::from(error) == error.errno());
    }
    Ok(())
}
