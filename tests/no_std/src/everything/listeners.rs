//! Listeners, as far as the streams and seqpackets have not used them.

use afunix::{
    AsFd, AsRawFd, Errno, OwnedFd, Shutdown, UnixAddr, UnixListener, UnixSeqpacket,
    UnixSeqpacketListener, UnixStream,
};

use crate::check::{Failure, Names, is, opaque};
use crate::{check, check_socket, get};

macro_rules! check_listener {
    ($Listener:ident, $Type:ident, not: $Other:ident, $names:expr) => {{
        let name = $names.name(b'1')?;
        let listener = get!($Listener::bind(&name));
        check!(is($Listener::bind(&name), Errno::ADDRINUSE));
        check!(listener.listen(opaque(1)).is_ok());
        check!(listener.set_nonblocking(opaque(true)).is_ok());
        check!(is(listener.accept(), Errno::AGAIN));
        let client = get!($Type::connect(&name));
        check!(listener.accept().is_ok());
        // It listens, so it is not what carries data; and the other way round.
        let refused = get!($Type::try_from(OwnedFd::from(listener)).err());
        let listener = get!($Listener::try_from(refused.into_fd()));
        check!($Listener::try_from(OwnedFd::from(client)).is_err());
        check_socket!($Listener, listener, name, not: $Other);

        let name = $names.name(b'2')?;
        let limit = opaque(core::time::Duration::from_millis(1));
        let listener = get!($Listener::bind_with_backlog(&name, opaque(2)));
        check!(listener.set_accept_timeout(Some(limit)).is_ok());
        check!(get!(listener.accept_timeout()).is_some_and(|set| set >= limit));
        check!(is(listener.accept(), Errno::AGAIN));
        check_socket!($Listener, listener, name, not: $Other);
        let (listener, name) = get!($Listener::autobind());
        check_socket!($Listener, listener, name, not: $Other);
    }};
}

pub fn run() -> Result<(), Failure> {
    let names = Names::new()?;
    check_listener!(UnixListener, UnixStream, not: UnixSeqpacketListener, names);
    check_listener!(UnixSeqpacketListener, UnixSeqpacket, not: UnixListener, names);
    Ok(())
}
