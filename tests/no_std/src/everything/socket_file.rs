//! The life of a socket's file, in a root that has no procfs.

use core::time::Duration;

use afunix::{
    AsFd, Errno, FileAddr, FileType, OwnedFd, SocketFile, SocketFileError, SocketFileOptions, Step,
    UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};
use rustix::fs::{CWD, fstat};
use rustix::process::{getegid, geteuid};

use crate::check::{Failure, opaque};
use crate::errors::say;
use crate::out::shows;
use crate::{check, get};

pub fn run() -> Result<(), Failure> {
    made()?;
    refused()?;
    reached()?;
    errors()
}

fn options(path: &[u8]) -> SocketFileOptions<'_> {
    SocketFile::options(path)
        .mode(opaque(0o666))
        .owner(geteuid())
        .group(getegid())
        .backlog(opaque(4))
        .lock_wait(opaque(Duration::from_millis(20)))
}

fn unlink() -> bool {
    rustix::fs::unlink(c"/control").is_ok()
}

fn made() -> Result<(), Failure> {
    let path = opaque(&b"/control"[..]);
    let (_listener, file): (UnixListener, _) = get!(options(path).listener());
    check!(file.addr() == Some(&get!(UnixAddr::from_pathname(path))));
    check!(file.name() == b"control" && file.is_in_place() == Ok(true));
    check!(get!(fstat(file.as_fd())).st_mode & 0o7777 == 0o666);
    shows(&options(path))?;
    shows(&file)?;
    let again = options(path).publish_ready().seqpacket_listener();
    check!(matches!(again, Err(SocketFileError::InUse)));
    let taken: (UnixSeqpacketListener, _) =
        get!(options(path).replace().seqpacket_listener_with(|socket| socket.set_passcred(true)));
    check!(file.remove() == Ok(false) && taken.0.passcred() == Ok(true));
    let inbox: (UnixDatagram, _) =
        get!(options(path).replace().any_directory().datagram_with(|_| Ok(())));
    check!(taken.1.is_in_place() == Ok(false) && inbox.1.remove() == Ok(true));
    drop(get!(options(path).remove_on_drop().datagram()));
    let (_listener, file) = get!(options(path).remove_on_drop().listener_with(|_| Ok(())));
    file.keep();
    check!(unlink());
    // An address that is relative to a directory takes procfs.
    let relative = SocketFile::options(b"control").at(CWD).seqpacket_listener();
    match relative {
        Ok((_, file)) => check!(file.remove() == Ok(true)),
        Err(error) => check!(error == SocketFileError::NoProcfs),
    }
    Ok(())
}

fn refused() -> Result<(), Failure> {
    let path = opaque(&b"/control"[..]);
    drop(get!(options(path).listener()));
    match options(path).reclaim().listener() {
        Ok(_) => {}
        Err(error) => check!(error == SocketFileError::NoProcfs),
    }
    check!(unlink());
    for wrong in opaque([&b""[..], b"/", b"/..", b"/a\0b", &[b'n'; 300], &[b'/'; 5000]]) {
        check!(SocketFile::options(wrong).listener().is_err());
        check!(UnixStream::connect_path(wrong).is_err());
    }
    check!(options(path).mode(opaque(0o4755)).datagram().is_err());
    check!(options(b"/nothing/control").datagram().is_err());
    Ok(())
}

fn reached() -> Result<(), Failure> {
    let path = opaque(&b"/control"[..]);
    let long = &mut opaque([b'/'; 200]);
    for (to, from) in long.iter_mut().rev().zip(path.iter().rev()) {
        *to = *from;
    }
    let (listener, file) = get!(options(path).listener());
    check!(UnixStream::connect_path(path).is_ok() && listener.accept().is_ok());
    check!(UnixSeqpacket::connect_path(path).is_err());
    check!(get!(UnixDatagram::unbound()).connect_path(path).is_err());
    for target in [FileAddr::open(long), FileAddr::open_at(CWD, path)] {
        match target {
            Ok(target) => {
                shows(&target)?;
                check!(UnixStream::connect(target.addr()).is_ok());
                check!(get!(fstat(target.as_fd())).st_mode & 0o7777 == 0o666);
                let _file = OwnedFd::from(target);
            }
            Err(error) => check!(error == SocketFileError::NoProcfs),
        }
    }
    // The descriptor of a socket leads to no file.
    let refused = FileAddr::from_fd(listener.into());
    check!(refused.is_err_and(|error| error.errno() == Errno::CONNREFUSED));
    check!(file.remove() == Ok(true));
    Ok(())
}

fn errors() -> Result<(), Failure> {
    for step in opaque([
        Step::Directory,
        Step::Lock,
        Step::Socket,
        Step::Prepare,
        Step::Bind,
        Step::Look,
        Step::Probe,
        Step::Owner,
        Step::Mode,
        Step::Listen,
        Step::Publish,
        Step::Remove,
        Step::Connect,
    ]) {
        shows(&step)?;
    }
    // What has numbers can be had from the crate alone.
    let (path, long) = (opaque(&b"/a\0b"[..]), opaque([b'/'; 4097]));
    for (error, errno) in [
        (SocketFile::options(b"/").listener().err(), Errno::INVAL),
        (SocketFile::options(path).listener().err(), Errno::INVAL),
        (SocketFile::options(&long).listener().err(), Errno::NAMETOOLONG),
        (SocketFile::options(b"/.x.afunix").listener().err(), Errno::INVAL),
        (SocketFile::options(b"/x").mode(0o1000).listener().err(), Errno::INVAL),
        (SocketFile::options(b"/x/y").listener().err(), Errno::NOENT),
        (FileAddr::open(b"/").err(), Errno::NOTSOCK),
        (opaque(Some(SocketFileError::InUse)), Errno::ADDRINUSE),
        (opaque(Some(SocketFileError::Locked)), Errno::TIMEDOUT),
        (opaque(Some(SocketFileError::Moved)), Errno::STALE),
        (opaque(Some(SocketFileError::NoProcfs)), Errno::NOSYS),
        (opaque(Some(SocketFileError::NoName)), Errno::INVAL),
    ] {
        let error = get!(error);
        check!(error.errno() == errno && Errno::from(error) == errno);
        say(&error)?;
    }
    let found = FileType::Directory;
    check!(
        matches!(FileAddr::open(b"/"), Err(SocketFileError::NotASocket { found: kind, .. }) if kind == found)
    );
    Ok(())
}
