//! Whether somebody is who was wanted.

use rustix::process::geteuid;

use super::{NOBODY, PeerCredentials};
use crate::cred::Credentials;
use crate::error::{Refused, Wanted};
use crate::{Gid, Pid, Uid};

/// The id that may be anybody's: those without a number here have this.
const ANYBODY: u32 = 65534;

const fn is_somebody(id: u32) -> bool {
    id != ANYBODY && id != NOBODY
}

#[inline]
fn require_user(found: Credentials, wanted: Uid) -> Result<(), Refused> {
    // Equal to one that is somebody's, so that is what both are.
    if found.uid == wanted && is_somebody(wanted.as_raw()) {
        return Ok(());
    }
    Err(refused(found, Wanted::User(wanted)))
}

fn require_group(found: Credentials, wanted: Gid, groups: &[Gid]) -> Result<(), Refused> {
    let is_member = found.gid == wanted || groups.contains(&wanted);
    if is_member && is_somebody(wanted.as_raw()) {
        return Ok(());
    }
    Err(refused(found, Wanted::Group(wanted)))
}

fn require_process(found: Credentials, wanted: Pid) -> Result<(), Refused> {
    if found.pid == Some(wanted) {
        return Ok(());
    }
    Err(refused(found, Wanted::Process(wanted)))
}

#[cold]
const fn refused(found: Credentials, wanted: Wanted) -> Refused {
    let Credentials { pid, uid, gid } = found;
    Refused { wanted, pid, uid, gid }
}

/// Implements the checks; `$plain` makes `Credentials` of `self`.
macro_rules! impl_checks {
    ($Type:ident, $one:literal, $made:literal, |$this:ident| $plain:expr) => {
        /// # Is it who was wanted?
        ///
        /// What may be anybody's matches nothing: 65534, which stands for all ids that have no number
        /// here, and -1. So a server that itself runs as 65534 trusts nobody by these. (Where
        /// `/proc/sys/kernel/overflowuid` says another number, that is one to be refused too.)
        impl $Type {
            #[doc = concat!("Refuses all but the user with this number, as the ", $one, " user.")]
            ///
            /// # Errors
            ///
            /// [`Refused`](crate::Refused): it is another, or may be anybody.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $made]
            /// assert!(found.require_user(Uid::from_raw(1000)).is_ok());
            /// assert!(found.require_user(Uid::from_raw(1001)).is_err());
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn require_user(self, uid: Uid) -> Result<(), Refused> {
                let $this = self;
                require_user($plain, uid)
            }

            #[doc = concat!("Refuses all but root, as the ", $one, " user: whoever has the number 0 in this user namespace.")]
            ///
            /// # Errors
            ///
            /// As [`require_user`](Self::require_user).
            ///
            /// # Examples
            ///
            /// See [`Refused`](crate::Refused).
            #[inline]
            pub fn require_root(self) -> Result<(), Refused> {
                self.require_user(Uid::ROOT)
            }

            #[doc = concat!("Refuses all but who has, as the ", $one, " user, the **effective** user of this process,")]
            /// which is asked for (`geteuid`).
            ///
            /// # Errors
            ///
            /// As [`require_user`](Self::require_user).
            ///
            /// # Examples
            ///
            /// See [`PeerCredentials`](crate::PeerCredentials).
            #[doc(alias = "geteuid")]
            #[inline]
            pub fn require_same_user(self) -> Result<(), Refused> {
                self.require_user(geteuid())
            }

            #[doc = concat!("Refuses all but a member of this group: whoever has it as the ", $one, " group, or among")]
            /// `groups`, which are those of [`peer_groups`](crate::peer_groups), or none.
            ///
            /// # Errors
            ///
            /// [`Refused`](crate::Refused): it is no member; or the group may be anybody's.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $made]
            /// let wheel = Gid::from_raw(10);
            /// assert!(found.require_group(wheel, &[]).is_err());
            /// assert!(found.require_group(wheel, &[Gid::from_raw(5), wheel]).is_ok());
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn require_group(self, gid: Gid, groups: &[Gid]) -> Result<(), Refused> {
                let $this = self;
                require_group($plain, gid, groups)
            }

            /// Refuses all but the process with this number. One without a number here is refused.
            ///
            /// That the number is still the same process's is known only while its parent has not waited
            /// for it, as of a child of one's own.
            ///
            /// # Errors
            ///
            /// [`Refused`](crate::Refused): it is another, or unknown.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $made]
            /// let init = afunix::Pid::from_raw(1).unwrap();
            /// assert!(found.require_process(init).is_err());
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn require_process(self, pid: Pid) -> Result<(), Refused> {
                let $this = self;
                require_process($plain, pid)
            }
        }
    };
}

impl_checks!(
    Credentials,
    "real",
    "use afunix::{Credentials, Gid, Uid};\n\nlet found = Credentials { pid: None, uid: Uid::from_raw(1000), gid: Gid::from_raw(100) };",
    |found| found
);
impl_checks!(
    PeerCredentials,
    "effective",
    "use afunix::{Gid, PeerCredentials, Uid};\n\n# let mut found: PeerCredentials = afunix::UnixStream::pair()?.0.peer_credentials()?;\n# (found.pid, found.euid, found.egid) = (None, Uid::from_raw(1000), Gid::from_raw(100));",
    |found| Credentials { pid: found.pid, uid: found.euid, gid: found.egid }
);
