//! The errors that are not the kernel's: what they say, and as which errno.

use core::error::Error;
use core::fmt::{Debug, Write};

use afunix::{
    AcceptError, AddrError, AdoptError, AncillaryBuf, AsFd, DecodeError, Errno, ListenError,
    OwnedFd, RecvError, SendError, Truncation, UnixDatagram, UnixStream, WrongSocket,
};

use crate::check::{Failure, opaque};
use crate::out::{Line, print, shows};
use crate::{check, get};

pub fn run() -> Result<(), Failure> {
    let number = opaque(7);
    for (error, errno) in opaque([
        (AddrError::EmptyPath, Errno::INVAL),
        (AddrError::PathTooLong { len: number }, Errno::NAMETOOLONG),
        (AddrError::NameTooLong { len: number }, Errno::NAMETOOLONG),
        (AddrError::InteriorNul { position: number, len: number }, Errno::INVAL),
        (AddrError::EmptyText, Errno::INVAL),
        (AddrError::EmptyName, Errno::INVAL),
        (AddrError::NotAbsolute { first: 7 }, Errno::INVAL),
    ]) {
        check!(error.errno() == errno);
        say(&error)?;
    }
    for (error, errno) in opaque([
        (AcceptError::Blocking, Errno::INVAL),
        (AcceptError::Kernel(Errno::TIMEDOUT), Errno::TIMEDOUT),
    ]) {
        check!(error.errno() == errno);
        say(&error)?;
    }
    for (error, errno) in opaque([
        (DecodeError::Family { found: 2 }, Errno::AFNOSUPPORT),
        (DecodeError::Length { addr_len: number }, Errno::INVAL),
        (DecodeError::Truncated { addr_len: number, have: number }, Errno::OVERFLOW),
    ]) {
        check!(error.errno() == errno);
        say(&error)?;
    }
    for (error, errno) in opaque([
        (WrongSocket::Kernel(Errno::PERM), Errno::PERM),
        (WrongSocket::Domain { found: 2 }, Errno::AFNOSUPPORT),
        (WrongSocket::Type { wanted: 1, found: 2 }, Errno::PROTOTYPE),
        (WrongSocket::Listening, Errno::INVAL),
        (WrongSocket::NotListening, Errno::INVAL),
    ]) {
        check!(error.errno() == errno);
        say(&error)?;
    }
    for (error, errno) in opaque([
        (SendError::Kernel(Errno::TOOMANYREFS), Errno::TOOMANYREFS),
        (SendError::Kernel(Errno::PIPE), Errno::PIPE),
        (SendError::NoData { fds: number }, Errno::INVAL),
        (SendError::TooManyFds { fds: number }, Errno::INVAL),
    ]) {
        check!(error.errno() == errno);
        say(&error)?;
    }
    adopt()?;
    listen()?;
    receive()
}

/// Those that only the crate can make, and only by a receive or a write.
fn receive() -> Result<(), Failure> {
    for cause in opaque([Truncation::BufferFull, Truncation::NotInstalled, Truncation::Unknown]) {
        let mut line = Line::new();
        check!(writeln!(line, "{cause}").is_ok());
        print(line.as_str());
        shows(&cause)?;
    }
    let kernel = opaque(RecvError::Kernel(Errno::CONNRESET));
    check!(kernel.errno() == Errno::CONNRESET);
    say(&kernel)?;

    let (a, b) = get!(UnixStream::pair());
    let fds = [a.as_fd(); 20];
    check!(a.send_fds(opaque(b"x"), &fds).is_ok() && a.send_fds(opaque(b"x"), &fds).is_ok());
    let lost: RecvError = get!(b.recv_fds::<1>(&mut [0; 4]).err());
    check!(lost.errno() == Errno::NOBUFS);
    say(&lost)?;
    let wrong: RecvError = get!(b.recv_fds_exact::<16>(&mut [0; 4]).err());
    check!(wrong.errno() == Errno::PROTO && wrong == opaque(wrong));
    say(&wrong)?;

    let mut buf = AncillaryBuf::<8>::new();
    let full = get!(buf.writer().push_fds(opaque(&fds)).err());
    check!(full.errno() == Errno::NOBUFS && full.needed > full.left);
    say(&full)
}

fn adopt() -> Result<(), Failure> {
    let fd = OwnedFd::from(get!(UnixStream::unbound()));
    let refused: AdoptError = get!(UnixDatagram::try_from(fd).err());
    check!(matches!(refused.reason(), WrongSocket::Type { found: 1, .. }));
    check!(refused.errno() == Errno::PROTOTYPE && refused.source().is_some());
    say(&refused)?;
    check!(UnixStream::try_from(refused.into_fd()).is_ok());
    Ok(())
}

fn listen() -> Result<(), Failure> {
    let unnamed = get!(UnixStream::unbound());
    let refused: ListenError<UnixStream> = get!(unnamed.listen(opaque(1)).err());
    check!(refused.errno() == Errno::INVAL && refused.source().is_none());
    say(&refused)?;
    check!(refused.into_socket().local_addr().is_ok());
    Ok(())
}

/// Prints it in both ways.
pub fn say<E: Error + Debug>(error: &E) -> Result<(), Failure> {
    let mut line = Line::new();
    check!(writeln!(line, "{error}").is_ok());
    check!(line.as_str().len() > 10);
    print(line.as_str());
    shows(error)
}
