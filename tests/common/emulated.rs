//! Where qemu-user runs the tests, as in `.ci/run qemu-s390x`: a program of another machine, whose
//! system calls an emulator translates and makes. What it does not know it refuses, drops or gets
//! wrong. A test that meets such a thing leaves it out, and says so, with
//!
//! ```ignore
//! if left_out_by_qemu(CUT) {
//!     return;
//! }
//! ```
//!
//! around as little as can be: a clause rather than a test. The reason names what the emulator does
//! instead, and is one that was seen to fail: nothing is left out because it might. The lane prints
//! them all. Where nothing is emulated the answer is `false`, and no variable changes that.
//!
//! An option that the emulator may refuse is set with [`is_set`], and a program of the tests' own
//! target, as an example or this very binary, is started with [`program`]. Programs of the host, as
//! `python3` or what `cc` makes, start as anywhere: they are peers of another machine.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use afunix::Errno;

/// What qemu-user 7.2 does, each of which some test meets.
pub const CUT: &str = "qemu-user has the kernel fill a control buffer of twice the size, so that \
                       more comes than has room, and leaves open what it cannot hand on";
pub const OPTION: &str = "qemu-user refuses to set an option that it does not know";
pub const LENGTHS: &str = "qemu-user asks for an option with a length of its own: that of all the credentials, and \
     of one number for what it does not know; and tells none that is refused";
pub const NUMBER: &str = "qemu-user makes no ioctl that it does not know";
pub const NO_PIECES: &str = "qemu-user makes no call for a message of no pieces, and says it did";
pub const ONE_BY_ONE: &str =
    "qemu-user makes a call for each message of a batch, and drops the error that ends it";
pub const MOST: &str = "qemu-user receives no more than 1024 messages in one call";
pub const BAD_LENGTH: &str = "qemu-user crashes over a control message that says that it is shorter than its header, and \
     drops one that says that it is longer than what there is";
pub const FILTER: &str = "qemu-user installs no seccomp filter";
pub const FORKS: &str =
    "a fork of qemu-user's stands still at times, by a lock that another thread had";
pub const THREAD: &str = "a process under qemu-user has a thread of the emulator's, too, and may leave no user namespace";
pub const TRACE: &str = "of a process under qemu-user the emulator's own calls would be seen";
pub const GROWS: &str = "a process under qemu-user grows by what is translated, too";
pub const STARTS_ITSELF: &str = "the program starts itself, which takes the emulator a second time";

/// Whether something is left out because qemu-user runs this; then it says why.
#[must_use]
pub fn left_out_by_qemu(reason: &str) -> bool {
    let emulated = is_emulated();
    if emulated {
        println!("skipped: {reason}");
    }
    emulated
}

/// Whether an option was set, as it must be, unless [`OPTION`] is why it was not.
#[track_caller]
pub fn is_set(answer: Result<(), Errno>) -> bool {
    if answer == Err(Errno::NOPROTOOPT) && left_out_by_qemu(OPTION) {
        return false;
    }
    answer.expect("an option that can be set");
    true
}

/// [`skip`](super::skip) where an option was refused: the kernel is older than it, or [`OPTION`].
#[track_caller]
pub fn skip_option(reason: &str) {
    if !left_out_by_qemu(OPTION) {
        super::skip(reason);
    }
}

/// A command that starts a program of this target, here.
pub fn program(path: impl AsRef<Path>) -> Command {
    let path = path.as_ref();
    match runner().split_first() {
        None => Command::new(path),
        Some((emulator, options)) => {
            let mut command = Command::new(emulator);
            command.args(options).arg(path);
            command
        }
    }
}

/// Whether qemu-user runs this.
pub fn is_emulated() -> bool {
    !runner().is_empty()
}

/// The emulator and its options, or nothing: what the kernel runs, where that is not this program.
///
/// The emulator answers for `/proc/self/exe`, but not for the same file under another name.
fn runner() -> &'static [OsString] {
    static RUNNER: OnceLock<Vec<OsString>> = OnceLock::new();
    RUNNER.get_or_init(|| {
        let this = std::env::current_exe().expect("this very program");
        let real = std::fs::read_link("/proc/thread-self/exe").expect("procfs");
        let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if real == this || !name.starts_with("qemu-") {
            return Vec::new();
        }
        let line = std::fs::read("/proc/thread-self/cmdline").expect("procfs");
        let file = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
        let this = file(&this).expect("this very program");
        // Behind the options stands what is run.
        let words = line.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
        let options = words.skip(1).take_while(|word| file(word.as_ref()) != Some(this));
        std::iter::once(real.clone().into_os_string()).chain(options).collect()
    })
}
