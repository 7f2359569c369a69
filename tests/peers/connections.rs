//! Who is at the other end of a connection, where there is nobody, or nobody with a pid.

use std::num::NonZeroI32;

use afunix::{
    AsRawFd, Errno, PeerError, Uid, UnixDatagram, UnixListener, UnixSeqpacket, UnixStream,
};
use rustix::process::getpid;

use crate::common::{Watchdog, is_root, name, passes_in_child, skip};
use crate::control;
use crate::credentials::{IDS, in_other_pid_namespace};

/// The pid, uid and gid that the kernel tells of a peer.
fn told(socket: &impl AsRawFd) -> [i32; 3] {
    let mut peer = [7_i32; 3];
    let mut len = libc::socklen_t::try_from(size_of_val(&peer)).unwrap();
    // SAFETY: the option's value has this size.
    let done = unsafe {
        let value = peer.as_mut_ptr().cast();
        let option = libc::SO_PEERCRED;
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, &raw mut len)
    };
    assert_eq!((done, len), (0, 12));
    peer
}

/// nix 0.31.3 gives the pid 0 and the ids 4294967295 for a socket without a peer. rustix 1.1.6 has no room
/// for the pid 0 there either, and comes to `EPERM`, which nobody said.
#[test]
fn socket_without_a_peer_has_none_and_no_made_up_error() {
    let _watchdog = Watchdog::new();
    let addr = name("server");
    let (_server, datagram) =
        (UnixDatagram::bind(&addr).unwrap(), UnixDatagram::unbound().unwrap());
    datagram.connect(&addr).unwrap();
    let stream = UnixStream::unbound().unwrap();
    let seqpacket = UnixSeqpacket::bind(&name("bound")).unwrap();
    let answers =
        [stream.peer_credentials(), seqpacket.peer_credentials(), datagram.peer_credentials()];
    assert_eq!(answers, [Err(PeerError::NotConnected); 3]);
    assert_eq!(PeerError::NotConnected.errno(), Errno::NOTCONN);

    // Control: the kernel has numbers for it, and no error; the pid is none, and the ids are nobody's.
    for told in [told(&stream), told(&seqpacket), told(&datagram)] {
        assert_eq!((told, NonZeroI32::new(told[0])), ([0, -1, -1], None));
    }
}

/// std's unstable `peer_cred` has the pid 0 of a peer outside the pid namespace, as if it were a process;
/// uds 0.4.2 says that there is none, of root in another container; and to rustix 1.1.6 it is what it is
/// there with messages: an error that the peer's user chooses.
#[test]
fn peer_that_is_outside_the_pid_namespace_is_a_peer_without_a_pid() {
    let _watchdog = Watchdog::new();
    let test = "connections::peer_that_is_outside_the_pid_namespace_is_a_peer_without_a_pid";
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may make a pid namespace, and be others");
        }
        let (listener, addr) = UnixListener::autobind().unwrap();
        let connections = IDS.map(|id| {
            // SAFETY: numbers alone.
            assert_eq!(unsafe { (libc::setegid(id), libc::seteuid(id)) }, (0, 0));
            let client = UnixStream::connect(&addr).unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { (libc::seteuid(0), libc::setegid(0)) }, (0, 0));
            (client, listener.accept().unwrap().0)
        });
        // In this namespace it has one.
        let here = connections[1].1.peer_credentials().unwrap();
        assert_eq!((here.pid, here.euid), (Some(getpid()), Uid::from_raw(IDS[1])));

        let Some(answers) = in_other_pid_namespace(|| {
            let mut bytes = Vec::new();
            for ((_, connection), id) in connections.iter().zip(IDS) {
                let peer = connection.peer_credentials().unwrap();
                assert_eq!(peer.pid, None);
                peer.require_user(Uid::from_raw(id)).unwrap();
                assert!(peer.require_process(getpid()).is_err());
                let numbers = [0, peer.euid.as_raw(), peer.egid.as_raw()].map(u32::cast_signed);
                let both = [numbers, told(connection)];
                bytes.extend(both.as_flattened().iter().flat_map(|number| number.to_ne_bytes()));
            }
            bytes
        }) else {
            return skip("this root may not make a pid namespace");
        };
        let answers = control::ints(&answers);
        assert_eq!(answers.len(), 6 * IDS.len());
        for (answer, id) in answers.chunks_exact(6).zip(IDS.map(u32::cast_signed)) {
            let (ours, kernels) = answer.split_at(3);
            assert_eq!(ours, [0, id, id]);
            // Control: the kernel does say 0, which is no number for some types.
            assert_eq!((kernels, NonZeroI32::new(kernels[0])), (&[0, id, id][..], None));
        }
    });
}
