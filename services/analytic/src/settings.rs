//! The settings of `analytic`.

/// The settings of `analytic`, which its handlers reach by `ctx.state()`.
#[derive(tpro_sidecar::Settings)]
pub struct Settings {
    /// a visible pause in each step of the examples, in milliseconds; 0 turns it off
    #[setting("EXAMPLE_PAUSE_MS", default = "200")]
    pub pause_ms: u32,
}
