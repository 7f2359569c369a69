//! The making itself, of each type of socket.

use super::SocketFile;
use super::making::make;
use super::options::SocketFileOptions;
use super::place::kernel;
use crate::error::{SocketFileError, Step};
use crate::socket::{UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};
use crate::sys::fd::borrow;
use crate::sys::socket::Kind;
use crate::{Errno, OwnedFd};

/// Implements the making of one type; `$Fresh` is what its options are set on.
macro_rules! impl_make {
    ($make:ident, $make_with:ident, $Fresh:ident, $Type:ident, $kind:expr, $what:literal) => {
        #[doc = concat!("# Making ", $what)]
        impl SocketFileOptions<'_> {
            #[doc = concat!("Makes ", $what, ", and its file.")]
            ///
            /// # Errors
            ///
            /// See [`SocketFile`].
            ///
            /// # Examples
            ///
            /// ```
            /// use afunix::SocketFile;
            ///
            #[doc = concat!("# let folder = std::env::temp_dir().join(format!(\"afunix-doc-", stringify!($make), "-{}\", std::process::id()));")]
            /// # std::fs::create_dir(&folder).unwrap();
            /// # let path = folder.join("control");
            /// # let path = path.as_os_str().as_encoded_bytes();
            #[doc = concat!("let (socket, file) = SocketFile::options(path).mode(0o600).", stringify!($make), "()?;")]
            /// assert_eq!(socket.local_addr()?, *file.addr().unwrap());
            /// file.remove()?;
            /// # std::fs::remove_dir(&folder).unwrap();
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            pub fn $make(self) -> Result<($Type, SocketFile), SocketFileError> {
                self.$make_with(|_| Ok(()))
            }

            #[doc = concat!("Makes ", $what, ", and its file; but first has `prepare` set the socket's")]
            /// options, before it has a name and can be reached.
            ///
            /// # Errors
            ///
            /// See [`SocketFile`]. An error of `prepare` is [`Kernel`](SocketFileError::Kernel), in
            /// [`Step::Prepare`]; nothing was made then.
            ///
            /// # Examples
            ///
            /// ```
            /// use afunix::SocketFile;
            ///
            #[doc = concat!("# let folder = std::env::temp_dir().join(format!(\"afunix-doc-", stringify!($make_with), "-{}\", std::process::id()));")]
            /// # std::fs::create_dir(&folder).unwrap();
            /// # let path = folder.join("control");
            /// # let path = path.as_os_str().as_encoded_bytes();
            /// let options = SocketFile::options(path);
            #[doc = concat!("let (socket, file) = options.", stringify!($make_with), "(|socket| socket.set_passcred(true))?;")]
            /// assert!(socket.passcred()?);
            /// # file.remove()?;
            /// # std::fs::remove_dir(&folder).unwrap();
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            pub fn $make_with(
                self,
                prepare: impl FnOnce(&$Fresh) -> Result<(), Errno>,
            ) -> Result<($Type, SocketFile), SocketFileError> {
                let socket = $Fresh::unbound().map_err(kernel(Step::Socket))?;
                prepare(&socket).map_err(kernel(Step::Prepare))?;
                let fd = OwnedFd::from(socket);
                let file = make(&self, $kind, borrow(&fd))?;
                Ok(($Type::from_fd_unchecked(fd), file))
            }
        }
    };
}

impl_make!(
    listener,
    listener_with,
    UnixStream,
    UnixListener,
    Kind::Stream,
    "a stream socket that listens"
);
impl_make!(
    seqpacket_listener,
    seqpacket_listener_with,
    UnixSeqpacket,
    UnixSeqpacketListener,
    Kind::Seqpacket,
    "a seqpacket socket that listens"
);
impl_make!(
    datagram,
    datagram_with,
    UnixDatagram,
    UnixDatagram,
    Kind::Datagram,
    "a datagram socket"
);
