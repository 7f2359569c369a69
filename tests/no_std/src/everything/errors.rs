//! The errors that are not the kernel's: what they say, and as which errno.

use core::error::Error;
use core::fmt::{Debug, Write};

use afunix::{
    AddrError, AdoptError, DecodeError, Errno, ListenError, OwnedFd, UnixDatagram, UnixStream,
    WrongSocket,
};

use crate::check::{Failure, opaque};
use crate::out::{Line, print};
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
    adopt()?;
    listen()
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
fn say<E: Error + Debug>(error: &E) -> Result<(), Failure> {
    let mut line = Line::new();
    check!(writeln!(line, "{error}").is_ok());
    check!(line.as_str().len() > 10);
    print(line.as_str());
    let mut line = Line::new();
    check!(write!(line, "{error:?}").is_ok());
    let mut line = Line::new();
    check!(write!(line, "{error:#?}").is_ok());
    Ok(())
}
