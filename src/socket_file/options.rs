//! How a socket's file is to be made, and the making of it.

mod debug;

use core::time::Duration;

use crate::{BorrowedFd, Gid, Uid};

/// How a socket's file is to be made: see [`SocketFile::options`](crate::SocketFile::options).
///
/// # Examples
///
/// See [`SocketFile`](crate::SocketFile).
#[derive(Clone, Copy)]
#[must_use = "nothing is made until `listener`, `seqpacket_listener` or `datagram`"]
pub struct SocketFileOptions<'a> {
    pub(super) path: &'a [u8],
    pub(super) at: Option<BorrowedFd<'a>>,
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<Uid>,
    pub(super) group: Option<Gid>,
    pub(super) backlog: i32,
    pub(super) replace: bool,
    pub(super) reclaim: bool,
    pub(super) publish_ready: bool,
    pub(super) any_directory: bool,
    pub(super) remove_on_drop: bool,
    pub(super) lock_wait: Duration,
}

/// As long as a start takes on a machine with too much to do; a lock is held for some system calls.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// As many as `net.core.somaxconn` allows.
const BACKLOG_MAX: i32 = -1;

impl<'a> SocketFileOptions<'a> {
    pub(super) const fn new(path: &'a [u8]) -> Self {
        Self {
            path,
            at: None,
            mode: None,
            owner: None,
            group: None,
            backlog: BACKLOG_MAX,
            replace: false,
            reclaim: false,
            publish_ready: false,
            any_directory: false,
            remove_on_drop: false,
            lock_wait: LOCK_WAIT,
        }
    }

    /// Takes a relative path to begin in this directory, as `openat(2)` has it, and not in the working
    /// directory. It may be open for anything, by `O_PATH` too.
    ///
    /// There is no address then that another process could use: [`SocketFile::addr`](crate::SocketFile::addr) is `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AsFd, SocketFile};
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-at-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let rundir = rustix::fs::open(folder.to_str().unwrap(), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty())?;
    /// let options = SocketFile::options(b"control").at(rundir.as_fd());
    /// let (listener, file) = options.listener()?;
    /// assert_eq!((file.name(), file.addr()), (&b"control"[..], None));
    /// # drop(listener);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "openat")]
    #[inline]
    pub const fn at(mut self, dir: BorrowedFd<'a>) -> Self {
        self.at = Some(dir);
        self
    }

    /// Gives the file just these permissions, whatever the umask is: at most 0o777, else the error is
    /// [`InvalidMode`](crate::SocketFileError::InvalidMode). By default they are 0o777 less the umask.
    ///
    /// To connect, or to send a datagram, takes write permission on the file, and search permission on each
    /// directory of the path. At no instant has the file more permissions than these; and by its name it can
    /// be reached only when it has all of them. They are read back, and what differs is
    /// [`Mode`](crate::SocketFileError::Mode).
    ///
    /// A **default ACL** of the directory gives the file an ACL, whose mask is the group's part of the
    /// mode: with 0o660 users and groups that are named there may connect too, with 0o600 nobody but the
    /// owner. One that permits less than the mode is overruled, but only once the socket is bound: of
    /// datagrams it can be reached then, unless it is [published when ready](Self::publish_ready). Without a
    /// mode it takes away like the umask. See acl(5).
    ///
    /// # Examples
    ///
    /// See [`SocketFile`](crate::SocketFile).
    #[doc(alias = "chmod")]
    #[doc(alias = "umask")]
    #[inline]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Gives the file to this user, for which it takes `CAP_CHOWN`: else `EPERM`, in
    /// [`Step::Owner`](crate::Step::Owner). If a [`mode`](Self::mode) is asked for, nobody but this process's
    /// user can reach it until then; what that gives to group or others is set once it is another's file, for
    /// which it takes `CAP_FOWNER` too: else `EPERM`, in [`Step::Mode`](crate::Step::Mode).
    ///
    /// # Examples
    ///
    /// See [`group`](Self::group).
    #[doc(alias = "chown")]
    #[inline]
    pub const fn owner(mut self, uid: Uid) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Gives the file to this group: one of this process's own, or with `CAP_CHOWN` any; else `EPERM`, in
    /// [`Step::Owner`](crate::Step::Owner). By default it has the effective group of this process, or in a
    /// directory with the set-group-ID bit that of the directory. `Gid::from_raw` takes the number, which
    /// libc's `getgrnam` finds by the name.
    ///
    /// # Examples
    ///
    /// For the members of one group:
    ///
    /// ```
    /// use afunix::SocketFile;
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-group-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let path = folder.join("control");
    /// # let path = path.as_os_str().as_encoded_bytes();
    /// # let operators = rustix::process::getegid();
    /// let options = SocketFile::options(path).group(operators).mode(0o660);
    /// let (listener, file) = options.listener()?;
    /// # let _ = (listener, file);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "chown")]
    #[doc(alias = "chgrp")]
    #[inline]
    pub const fn group(mut self, gid: Gid) -> Self {
        self.group = Some(gid);
        self
    }

    /// Listens for `backlog + 1` pending connections, but no more than `net.core.somaxconn` allows; a
    /// negative number, which is the default, asks for all of these. For datagrams it means nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # let path = &b"/nonexistent/control"[..];
    /// let options = afunix::SocketFile::options(path).backlog(16);
    /// # let _ = options;
    /// ```
    #[doc(alias = "listen")]
    #[inline]
    pub const fn backlog(mut self, backlog: i32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Takes the name over from the socket that has it, alive or not, if one has: the new socket is bound
    /// to a temporary name, and when it is ready one `renameat2` exchanges the two files. No client ever
    /// finds the name missing, or nobody there.
    ///
    /// The other socket lives on and keeps its connections, also those that it has not accepted yet; new
    /// ones are not made with it any more. What is no socket is refused, symbolic links included, and stays
    /// in place: [`NotASocket`](crate::SocketFileError::NotASocket).
    ///
    /// Where the kernel (before Linux 3.15) or the file system cannot exchange files, a plain `rename` follows
    /// the look at what is there.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{SocketFile, UnixAddr, UnixStream};
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-replace-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let path = folder.join("control");
    /// # let path = path.as_os_str().as_encoded_bytes();
    /// let (old, old_file) = SocketFile::options(path).listener()?;
    /// let (new, new_file) = SocketFile::options(path).replace().listener()?;
    /// let _client = UnixStream::connect(&UnixAddr::from_pathname(path)?)?;
    /// new.accept()?;
    /// assert!(new_file.is_in_place()? && !old_file.is_in_place()?);
    /// assert!(!old_file.remove()?); // it is not ours any more
    /// # drop(old);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [rename(2)](https://man7.org/linux/man-pages/man2/rename.2.html).
    #[doc(alias = "rename")]
    #[doc(alias = "RENAME_EXCHANGE")]
    #[inline]
    pub const fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Removes the file of a socket that nobody has any more, as a process leaves it that was killed, and
    /// takes its name. One that is alive is [`InUse`](crate::SocketFileError::InUse), and notices nothing.
    ///
    /// **Nobody has it** if it is a socket's file, and a datagram socket that connects to this very inode
    /// is refused with `ECONNREFUSED`. Every other answer means that somebody has: one of streams that
    /// listens, whatever is in its backlog, or does not listen yet; one of datagrams that is connected
    /// elsewhere; one that this process may not write to. It takes procfs at `/proc`, else
    /// [`NoProcfs`](crate::SocketFileError::NoProcfs).
    ///
    /// The kernel says the same of a socket that lives on another machine, whose directory both mount by NFS,
    /// or was bound in another layer of an overlay file system. In such a directory do not reclaim.
    ///
    /// All who reclaim in one directory do so one after the other, by `flock` on the directory: of many that
    /// start at once just one has the name at last. Whoever can open the directory for reading can hold
    /// that lock: see [`lock_wait`](Self::lock_wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{SocketFile, SocketFileError};
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-reclaim-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let path = folder.join("control");
    /// # let path = path.as_os_str().as_encoded_bytes();
    /// let options = SocketFile::options(path).reclaim();
    /// let (listener, _) = options.listener()?;
    /// assert_eq!(options.listener().unwrap_err(), SocketFileError::InUse);
    /// drop(listener); // its file stays
    /// options.listener()?;
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), SocketFileError>(())
    /// ```
    ///
    /// See [flock(2)](https://man7.org/linux/man-pages/man2/flock.2.html).
    #[doc(alias = "flock")]
    #[doc(alias = "SO_REUSEADDR")]
    #[doc(alias = "unlink")]
    #[inline]
    pub const fn reclaim(mut self) -> Self {
        self.reclaim = true;
        self
    }

    /// Gives the file its name only when everything else is done: for clients that wait for the file to
    /// appear, and then connect at once.
    ///
    /// Without it a listener's file is there for an instant in which connections are refused. It is made by
    /// `renameat2`, where that cannot be by `link`, so that no other file is replaced. With
    /// [`reclaim`](Self::reclaim) it is exchanged for a stale one, as `replace` does. With
    /// [`replace`](Self::replace) it is so anyway; and for datagrams, if [`mode`](Self::mode) has what the
    /// umask takes away, or there is an [`owner`](Self::owner) or [`group`](Self::group).
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::SocketFile;
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-ready-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let path = folder.join("control");
    /// # let path = path.as_os_str().as_encoded_bytes();
    /// let (listener, file) = SocketFile::options(path).publish_ready().listener()?;
    /// // The kernel goes on to report the name that it was bound to.
    /// let bound = listener.local_addr()?;
    /// assert!(bound.as_pathname().unwrap().ends_with(b"/.control.afunix"));
    /// assert_eq!(file.addr().unwrap().as_pathname(), Some(path));
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "RENAME_NOREPLACE")]
    #[doc(alias = "link")]
    #[inline]
    pub const fn publish_ready(mut self) -> Self {
        self.publish_ready = true;
        self
    }

    /// Makes the file in any directory. By default one is refused that belongs neither to root nor to the
    /// effective user of this process, or that its group or others may write to without the sticky bit:
    /// [`Insecure`](crate::SocketFileError::Insecure). There others could put their own socket in the place of
    /// this one.
    ///
    /// The directories above it are not looked at. In a user namespace all users that it has no number for
    /// look like one, 65534: a process that has this number itself takes their directories for its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::os::unix::fs::PermissionsExt;
    /// use afunix::{SocketFile, SocketFileError};
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-any-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    /// # let path = folder.join("control");
    /// # let path = path.as_os_str().as_encoded_bytes();
    /// let options = SocketFile::options(path); // the directory has mode 0777
    /// assert!(matches!(options.listener(), Err(SocketFileError::Insecure { mode: 0o777, .. })));
    /// assert!(options.any_directory().listener().is_ok());
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// ```
    #[inline]
    pub const fn any_directory(mut self) -> Self {
        self.any_directory = true;
        self
    }

    /// Removes the file when the [`SocketFile`](crate::SocketFile) is dropped, as
    /// [`remove`](crate::SocketFile::remove) does, whose error nobody gets then. A signal does not end the
    /// wait for the lock; it may take twice as long as [`lock_wait`](Self::lock_wait) for that. By default
    /// the file stays.
    ///
    /// It is to be kept as long as the file is to be there: `let (listener, _) =` drops it, and with it the
    /// file, at once. A process that forks has two of them, of which the first that is dropped removes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{Errno, SocketFile, UnixAddr, UnixStream};
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-drop-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let path = folder.join("control");
    /// # let path = path.as_os_str().as_encoded_bytes();
    /// let made = SocketFile::options(path).remove_on_drop().listener()?;
    /// drop(made);
    /// let client = UnixStream::connect(&UnixAddr::from_pathname(path)?);
    /// assert_eq!(client.unwrap_err(), Errno::NOENT);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), Errno>(())
    /// ```
    #[inline]
    pub const fn remove_on_drop(mut self) -> Self {
        self.remove_on_drop = true;
        self
    }

    /// Waits so long for the lock of the directory, under which files are made, and removed by
    /// [`SocketFile::remove`](crate::SocketFile::remove): by default 5 seconds. Then the error is
    /// [`Locked`](crate::SocketFileError::Locked). With no time it is tried once.
    ///
    /// What needs no other name than its own, and is not to [reclaim](Self::reclaim) it, goes on without the
    /// lock then; at once if the directory may not be read, or its file system has no locks. If at that very
    /// time somebody replaces the file, or removes it and makes another one, that may be taken for the one
    /// that was made. If a later step fails, it waits so long again, to take the file back.
    ///
    /// Others of this kind hold it for some system calls. But whoever can open the directory for reading can
    /// hold it as long as they like.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// # let path = &b"/nonexistent/control"[..];
    /// let options = afunix::SocketFile::options(path).reclaim().lock_wait(Duration::from_millis(500));
    /// # let _ = options;
    /// ```
    #[inline]
    pub const fn lock_wait(mut self, time: Duration) -> Self {
        self.lock_wait = time;
        self
    }
}
