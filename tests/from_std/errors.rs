//! Errors as std's: kind, number, words.

use std::error::Error;
use std::io;
use std::os::unix::fs::PermissionsExt;

use afunix::{
    AcceptError, AddrError, AdoptError, AncillaryBuf, AsFd, CapacityError, DecodeError, Errno,
    OwnedFd, PeerError, RecvError, Refused, SendError, SocketFile, SocketFileError,
    SocketFileOptions, StdAddrError, Step, Uid, UnixAddr, UnixDatagram, UnixStream, WrongSocket,
};

use crate::common::{TempDir, open_fds, passes_in_child};

/// An error that no kernel said: its own words, itself within, and the kind of its errno.
#[track_caller]
fn is_kept<E>(error: E, errno: Errno)
where
    E: Error + Copy + PartialEq + Send + Sync + Into<io::Error> + Into<Errno> + 'static,
{
    assert_eq!(Into::<Errno>::into(error), errno);
    let made: io::Error = error.into();
    assert_eq!(made.kind(), io::Error::from(errno).kind());
    assert_eq!(made.raw_os_error(), None);
    assert_eq!(made.to_string(), error.to_string());
    assert_eq!(made.get_ref().and_then(|inner| inner.downcast_ref()), Some(&error));
}

/// An error that the kernel said: std's own of that number.
#[track_caller]
fn is_of_the_system(error: impl Into<io::Error>, errno: Errno) {
    let (made, theirs) = (error.into(), io::Error::from_raw_os_error(errno.raw_os_error()));
    assert_eq!(made.raw_os_error(), theirs.raw_os_error());
    assert_eq!((made.kind(), made.to_string()), (theirs.kind(), theirs.to_string()));
}

#[test]
fn what_no_kernel_said_keeps_its_words() {
    for error in [
        AddrError::EmptyPath,
        AddrError::PathTooLong { len: 112 },
        AddrError::NameTooLong { len: 108 },
        AddrError::InteriorNul { position: 3, len: 8 },
        AddrError::NotAbsolute { first: b'x' },
    ] {
        is_kept(error, error.errno());
    }
    for error in [
        DecodeError::Family { found: 2 },
        DecodeError::Length { addr_len: 1 },
        DecodeError::Truncated { addr_len: 9, have: 3 },
    ] {
        is_kept(error, error.errno());
    }
    is_kept(WrongSocket::Listening, Errno::INVAL);
    is_kept(WrongSocket::Domain { found: 2 }, Errno::AFNOSUPPORT);
    is_kept(WrongSocket::Type { wanted: 1, found: 2 }, Errno::PROTOTYPE);
    is_kept(SendError::NoData { fds: 1 }, Errno::INVAL);
    is_kept(AcceptError::Blocking, Errno::INVAL);

    let (a, b) = UnixStream::pair().unwrap();
    let mut none = AncillaryBuf::<0>::new();
    let error: CapacityError = none.writer().push_fds(&[a.as_fd()]).unwrap_err();
    is_kept(error, Errno::NOBUFS);
    a.write(b"no descriptor").unwrap();
    let error: RecvError = b.recv_fds_exact::<1>(&mut [0; 16]).unwrap_err();
    is_kept(error, Errno::PROTO);
    let full = UnixAddr::from_pathname(&[b'p'; 108]).unwrap();
    let error: StdAddrError = std::os::unix::net::SocketAddr::try_from(full).unwrap_err();
    is_kept(error, Errno::NAMETOOLONG);

    is_kept(PeerError::NotConnected, Errno::NOTCONN);
    let nobody = UnixStream::unbound().unwrap();
    is_kept(nobody.peer_credentials().unwrap_err(), Errno::NOTCONN);
    let mut peer = a.peer_credentials().unwrap();
    peer.euid = Uid::from_raw(1000);
    let refused: Refused = peer.require_root().unwrap_err();
    is_kept(refused, Errno::ACCESS);
    assert_eq!(io::Error::from(refused).kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn what_the_kernel_said_is_an_error_of_the_system() {
    for errno in [Errno::AGAIN, Errno::PIPE, Errno::TOOMANYREFS, Errno::INTR, Errno::NOTSOCK] {
        is_of_the_system(errno, errno);
        is_of_the_system(SendError::Kernel(errno), errno);
        is_of_the_system(AcceptError::Kernel(errno), errno);
        is_of_the_system(RecvError::Kernel(errno), errno);
        is_of_the_system(WrongSocket::Kernel(errno), errno);
        is_of_the_system(PeerError::Kernel(errno), errno);
        is_of_the_system(PeerError::Accept(errno), errno);
        is_of_the_system(PeerError::Unsupported(errno), errno);
    }
    is_of_the_system(UnixStream::unbound().unwrap().listen(5).unwrap_err(), Errno::INVAL);
}

/// Each that takes no help of others: a lock that is held, a directory that moves.
#[test]
fn error_of_a_socket_s_file_is_the_kernel_s_or_keeps_its_words() {
    fn error(options: SocketFileOptions<'_>) -> SocketFileError {
        options.listener().map(drop).unwrap_err()
    }
    let folder = TempDir::new();
    let bytes = |name: &str| folder.join(name).as_os_str().as_encoded_bytes().to_vec();
    std::fs::write(folder.join("file"), "").unwrap();
    let (live, mut long) = (bytes("live"), bytes("long"));
    let _live = SocketFile::options(&live).listener().unwrap();
    long.resize(5000, b'l');
    is_kept(SocketFileError::InUse, Errno::ADDRINUSE);
    is_kept(SocketFileError::Locked, Errno::TIMEDOUT);
    is_kept(SocketFileError::Moved, Errno::STALE);
    is_kept(SocketFileError::NoName, Errno::INVAL);
    is_kept(SocketFileError::NoProcfs, Errno::NOSYS);
    is_kept(error(SocketFile::options(&live)), Errno::ADDRINUSE);
    is_kept(error(SocketFile::options(&bytes("file")).replace()), Errno::NOTSOCK);
    is_kept(error(SocketFile::options(&bytes("new/"))), Errno::INVAL);
    is_kept(error(SocketFile::options(b"a\0b")), Errno::INVAL);
    is_kept(error(SocketFile::options(&long)), Errno::NAMETOOLONG);
    is_kept(error(SocketFile::options(&bytes("new")).mode(0o4600)), Errno::INVAL);
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    is_kept(error(SocketFile::options(&bytes("new"))), Errno::PERM);

    // The number is the kernel's; the step is lost, and what to say of it with it.
    let missing = error(SocketFile::options(&bytes("missing/new")));
    assert!(matches!(missing, SocketFileError::Kernel { step: Step::Directory, .. }));
    is_of_the_system(missing, Errno::NOENT);
    let made = SocketFile::options(&live).listener_with(|_| Err(Errno::NOPROTOOPT));
    is_of_the_system(made.map(drop).unwrap_err(), Errno::NOPROTOOPT);
    let refused = UnixStream::connect_path(&bytes("file")).map(drop).unwrap_err();
    is_of_the_system(refused, Errno::CONNREFUSED);
    // Those for which std has a kind have that.
    let kind = |error: SocketFileError| io::Error::from(error).kind();
    assert_eq!(kind(SocketFileError::InUse), io::ErrorKind::AddrInUse);
    assert_eq!(kind(SocketFileError::Locked), io::ErrorKind::TimedOut);
    assert_eq!(kind(SocketFileError::NoName), io::ErrorKind::InvalidInput);
    assert_eq!(kind(missing), io::ErrorKind::NotFound);
}

#[test]
fn an_error_that_holds_a_descriptor_closes_it() {
    passes_in_child("errors::an_error_that_holds_a_descriptor_closes_it", || {
        let before = open_fds();
        let stream = UnixStream::unbound().unwrap();
        let refused: AdoptError = UnixDatagram::try_from(OwnedFd::from(stream)).unwrap_err();
        let reason = refused.reason();
        let made = io::Error::from(refused);
        assert_eq!(made.get_ref().and_then(|inner| inner.downcast_ref()), Some(&reason));
        let file = std::fs::File::open("/dev/null").unwrap();
        let refused = UnixDatagram::try_from(OwnedFd::from(file)).unwrap_err();
        is_of_the_system(refused, Errno::NOTSOCK);
        let refused = UnixStream::unbound().unwrap().listen(5).unwrap_err();
        let _kept = io::Error::from(refused);
        assert_eq!(open_fds(), before);
    });
}

/// A program of std's has one error type, and `?` makes it of every error here.
#[test]
fn a_program_of_std_s_can_use_the_question_mark() {
    fn program(folder: &TempDir) -> io::Result<()> {
        let addr = UnixAddr::try_from(folder.join("a").as_path())?;
        let raw = UnixAddr::from_raw(addr.as_raw_bytes(), addr.addr_len())?;
        let stream = UnixStream::unbound()?;
        stream.bind_to(&raw)?;
        let listener = stream.listen(5)?;
        let client = UnixStream::connect(&addr)?;
        let (server, _, peer) = listener.accept_peer()?;
        peer.require_process(rustix::process::getpid())?;
        client.send_fds(b"x", &[client.as_fd()])?;
        let (_, [fd]) = server.recv_fds_exact::<1>(&mut [0; 8])?;
        UnixStream::try_from(fd)?;
        let path = folder.join("b");
        let path = path.as_os_str().as_encoded_bytes();
        let (_listener, file) = SocketFile::options(path).reclaim().listener()?;
        UnixStream::connect_path(path)?;
        file.remove()?;
        Ok(())
    }
    program(&TempDir::new()).unwrap();
}
