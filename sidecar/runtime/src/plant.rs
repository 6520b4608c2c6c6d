//! Faults that a test plants into the protocols, to see that its checks find them.
//!
//! They are compiled where failpoints are, and nowhere else: without the feature `failpoints`
//! [`is_planted`] is the constant `false`. A fault is planted for one thread, so that the tests of
//! one program do not disturb each other.

#[cfg(feature = "failpoints")]
thread_local! {
    static PLANTED: std::cell::Cell<&'static str> = const { std::cell::Cell::new("") };
}

/// Plants this fault in the present thread, in place of the one before. The empty name plants none.
#[cfg(feature = "failpoints")]
pub fn plant(name: &'static str) {
    PLANTED.set(name);
}

/// True if this fault is planted.
#[inline]
pub fn is_planted(name: &'static str) -> bool {
    #[cfg(feature = "failpoints")]
    {
        PLANTED.get() == name
    }
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = name;
        false
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_planted_in_one_thread() {
        plant("a");
        assert!(is_planted("a") && !is_planted("b"));
        let elsewhere = std::thread::spawn(|| is_planted("a")).join().expect("does not panic");
        assert!(!elsewhere);
        plant("");
        assert!(!is_planted("a"));
    }
}
