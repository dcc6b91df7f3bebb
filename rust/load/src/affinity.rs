//! A thread on a core of its own: server and client on different cores, as a benchmark wants it.

use tidegate_schema::{Error, Result};

/// Binds the calling thread to one core.
///
/// # Errors
/// When there is no such core, the process may not use it, or the system is not Linux.
#[cfg(target_os = "linux")]
pub fn pin(cpu: usize) -> Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(Error::invalid(format!(
            "cpu is {cpu}: there is no such core"
        )));
    }
    // SAFETY: a zeroed cpu_set_t is an empty set; CPU_SET stays within it by the check above;
    // the pointer and the size given to the call are those of the set.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) != 0
    };
    if failed {
        let reason = std::io::Error::last_os_error();
        return Err(Error::invalid(format!(
            "cpu is {cpu}, which cannot be used: {reason}"
        )));
    }
    Ok(())
}

/// Binds the calling thread to one core.
///
/// # Errors
/// Always: this system does not offer it.
#[cfg(not(target_os = "linux"))]
pub fn pin(cpu: usize) -> Result<()> {
    Err(Error::invalid(format!(
        "cpu is {cpu}, but this system binds no threads: leave it out"
    )))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn impossible_cores_are_refused() {
        for cpu in [1_000, usize::MAX] {
            assert!(pin(cpu).unwrap_err().message.contains("cpu is"));
        }
    }
}
