//! Cases, each in a process of its own, and what they check.

use std::cell::Cell;
use std::fmt::{Debug, Display};

use afunix::{
    Errno, OwnedFd, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};

use crate::common::emulated::{is_set, skip_option};
use crate::common::kinds::Data;
use crate::common::{assert_success, in_child, skip};

/// What a case finds wrong.
pub type Outcome = Result<(), String>;

/// How much a case has checked.
#[derive(Default)]
pub struct Checks {
    count: Cell<u32>,
    skipped: Cell<bool>,
}

impl Checks {
    /// One check.
    pub fn same<T: Debug + PartialEq>(&self, what: impl Display, found: T, wanted: T) -> Outcome {
        self.count.set(self.count.get() + 1);
        if found == wanted {
            return Ok(());
        }
        Err(format!("{what}: {found:?}, and not {wanted:?}"))
    }

    /// The control: a case with a wrong expectation, which must be seen, and so that these words are in
    /// what is said of it.
    pub fn fails(&self, words: &str, case: impl FnOnce(&Self) -> Outcome) -> Outcome {
        match case(&Self::default()) {
            Ok(()) => Err(format!("it was not seen that this is wrong: {words}")),
            Err(wrong) => self.same(&wrong, wrong.contains(words), true),
        }
    }

    /// What another process has checked.
    pub fn add(&self, count: u32) {
        self.count.set(self.count.get() + count);
    }

    pub fn count(&self) -> u32 {
        self.count.get()
    }

    /// Says why there is nothing to check.
    pub fn skip(&self, reason: impl Display) -> Outcome {
        skip(reason);
        self.skipped.set(true);
        Ok(())
    }

    /// The same where an option was refused, which an emulator may do.
    pub fn skip_option(&self, reason: &str) -> Outcome {
        skip_option(reason);
        self.skipped.set(true);
        Ok(())
    }

    /// Whether an option was set; there is nothing to check where an emulator refuses it.
    pub fn is_set(&self, answer: Result<(), Errno>) -> bool {
        let done = is_set(answer);
        self.skipped.set(self.skipped.get() || !done);
        done
    }
}

/// Runs a case in a process of its own, and says how much it checked.
#[track_caller]
pub fn case(test: &str, body: impl FnOnce(&Checks) -> Outcome) {
    let output = in_child(test, || {
        let checks = Checks::default();
        if let Err(wrong) = body(&checks) {
            panic!("{wrong}");
        }
        assert!(checks.skipped.get() || checks.count() > 0, "nothing was checked");
        println!("checks: {}", checks.count());
    });
    assert_success(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    let tells = |line: &&str| line.contains("skipped: ") || line.contains("checks: ");
    said.lines().filter(tells).for_each(|line| println!("{line}"));
}

/// Makes a test, in a module, of each expression: a function of the [`Checks`].
macro_rules! cases {
    ($module:ident: $($test:ident $body:expr),+ $(,)?) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $test() {
                    let _watchdog = $crate::common::Watchdog::new();
                    let test = concat!(module_path!(), "::", stringify!($test));
                    // The harness leaves out the crate.
                    let (_, test) = test.split_once("::").unwrap();
                    $crate::check::case(test, $body);
                }
            )+
        }
    };
}

/// A network namespace for this thread alone; `false` without the privilege.
pub fn leave_network() -> bool {
    // SAFETY: a number alone.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    assert!(done == 0 || errno == Some(libc::EPERM), "{errno:?}");
    done == 0
}

/// Sockets that a client can talk to.
pub trait Ends: Data {
    /// What a client that has connected to this server talks to: the connection, or for datagrams the
    /// server itself.
    fn other_end(server: OwnedFd) -> Self;
}

macro_rules! impl_ends {
    ($($Type:ident $Listener:ident),+) => {
        $(impl Ends for $Type {
            fn other_end(server: OwnedFd) -> Self {
                $Listener::try_from(server).unwrap().accept().unwrap().0
            }
        })+
    };
}

impl_ends!(UnixStream UnixListener, UnixSeqpacket UnixSeqpacketListener);

impl Ends for UnixDatagram {
    fn other_end(server: OwnedFd) -> Self {
        Self::try_from(server).unwrap()
    }
}

/// What libc answered: a number, or why there is none.
pub fn answered(result: libc::ssize_t) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| {
        let errno = std::io::Error::last_os_error().raw_os_error().expect("an errno");
        Errno::from_raw_os_error(errno)
    })
}
