//! What the errors say.

use afunix::{Errno, Gid, PeerError, Pid, Uid, UnixStream, Wanted};

#[test]
fn errors_say_what_is_wrong_and_have_an_errno() {
    let table = [
        (PeerError::NotConnected, Errno::NOTCONN, "there is no peer".into()),
        (
            PeerError::Kernel(Errno::MFILE),
            Errno::MFILE,
            format!("cannot learn who the peer is: {}", Errno::MFILE),
        ),
        (PeerError::Accept(Errno::MFILE), Errno::MFILE, format!("cannot accept: {}", Errno::MFILE)),
        (
            PeerError::Unsupported(Errno::NOSYS),
            Errno::NOSYS,
            format!("the kernel does not tell this of a peer: {}", Errno::NOSYS),
        ),
    ];
    for (error, errno, said) in table {
        assert_eq!((error.errno(), Errno::from(error), error.to_string()), (errno, errno, said));
    }
}

#[test]
fn wanted_and_found_are_printed_as_numbers() {
    let wanted = [
        (Wanted::User(Uid::from_raw(5)), "uid 5"),
        (Wanted::Group(Gid::from_raw(4_000_000_000)), "gid 4000000000"),
        (Wanted::Process(Pid::INIT), "pid 1"),
    ];
    for (wanted, said) in wanted {
        assert_eq!(wanted.to_string(), said);
    }
    let (a, _b) = UnixStream::pair().unwrap();
    let mut peer = a.peer_credentials().unwrap();
    (peer.pid, peer.euid, peer.egid) = (None, Uid::from_raw(7), Gid::from_raw(8));
    assert_eq!(peer.to_string(), "unknown pid, euid 7, egid 8");
    let refused = peer.require_root().unwrap_err();
    assert_eq!(refused.to_string(), "wanted uid 0, found unknown pid, uid 7, gid 8");
}
