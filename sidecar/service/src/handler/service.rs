//! A service: its handlers, its settings and its state.

use std::{error::Error, sync::Arc};

use tpro_runtime::config::{ANY, Config, OwnSetting, Settings};
use tpro_wire::ServiceName;

use super::{Handlers, cause::describe};
use crate::state::State;

/// The handlers of one service, its settings and its state.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, Ctx, Failure, Fault, ReplyCtx, Service, Tx};
///
/// async fn simple(_ctx: Ctx, _body: AnyBody) -> Result<u32, Fault> {
///     Ok(7)
/// }
/// async fn booked(tx: Tx, _body: AnyBody) -> Result<(), Fault> {
///     tx.execute("UPDATE seats SET free = free - 1", &[]).await?;
///     Ok(())
/// }
/// async fn sums(_ctx: ReplyCtx, _result: AnyBody) -> Result<(), Fault> {
///     Ok(())
/// }
/// async fn failed(_ctx: ReplyCtx, _failure: Failure) -> Result<(), Fault> {
///     Ok(())
/// }
///
/// fn service() -> Service {
///     Service::new("analytic")
///         .handle("example.simple", simple)
///         .handle_transactional("example.book", booked)
///         .on_reply("co.example.request_with_parallel_queries", sums, failed)
/// }
/// ```
///
/// `S` is the type of its state, which all handlers share: see [`Service::with_state`].
///
/// Nothing here fails: what is wrong with a registration is kept, and said at the start of the
/// process, all at once.
#[must_use = "a service does nothing until it is run"]
pub struct Service<S = ()> {
    pub(super) name: String,
    pub(crate) handlers: Handlers,
    /// The method that was registered last, which limits are for.
    pub(super) last: Option<String>,
    /// True if there is a middleware.
    pub(super) is_surrounded: bool,
    settings: Vec<OwnSetting>,
    pub(super) problems: Vec<String>,
    build: Build<S>,
}

/// Makes the state from the configuration.
type Build<S> = Box<dyn FnOnce(&Config) -> Result<S, String> + Send>;

/// A service that has its state.
pub struct Started {
    /// Its handlers.
    pub handlers: Handlers,
    /// The settings that it declares.
    pub settings: Arc<[OwnSetting]>,
    /// Its state.
    pub state: State,
}

impl Service {
    /// A service without handlers and without a state. The name is checked against `SERVICE_NAME`
    /// at the start.
    pub fn new(name: &str) -> Self {
        Self::of(name, Vec::new(), Box::new(|_| Ok(())))
    }

    /// A service of any name, which `SERVICE_NAME` says, without handlers in the program: functions
    /// in SQL answer its methods. `tpro.handle` says which ones.
    ///
    /// A service with handlers in Rust has those in SQL, too, for the methods that the program does
    /// not have.
    pub fn in_sql() -> Self {
        Self::new(ANY)
    }
}

impl<S: Send + Sync + 'static> Service<S> {
    /// A service with a state that is made once, at the start, from the settings of the service.
    /// Handlers reach it by [`Ctx::state`](crate::Ctx::state): an HTTP client, a cache, parsed
    /// settings.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use std::{convert::Infallible, sync::atomic::{AtomicU64, Ordering}};
    ///
    /// use tpro_sidecar::{AnyBody, Ctx, Fault, Service};
    ///
    /// struct State {
    ///     asked: AtomicU64,
    /// }
    ///
    /// impl State {
    ///     fn new((): ()) -> Result<Self, Infallible> {
    ///         Ok(Self { asked: AtomicU64::new(0) })
    ///     }
    /// }
    ///
    /// async fn count(ctx: Ctx<State>, _: AnyBody) -> Result<u64, Fault> {
    ///     Ok(ctx.state().asked.fetch_add(1, Ordering::Relaxed))
    /// }
    ///
    /// fn service() -> Service<State> {
    ///     Service::with_state("counter", State::new).handle("example.count", count)
    /// }
    /// ```
    ///
    /// `build` gets the settings as a type that derives `Settings`, or `()`. Their values are
    /// checked together with all other settings, before anything starts. `build` runs on the
    /// runtime and is not async: the start of a service waits for no other server. An error of it
    /// ends the start.
    pub fn with_state<P, E>(name: &str, build: impl FnOnce(P) -> Result<S, E> + Send + 'static) -> Self
    where
        P: Settings,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let build = |config: &Config| {
            let state = build(config.settings()?);
            state.map_err(|error| {
                format!("the state of the service cannot be made: {}", describe(&*error.into()))
            })
        };
        Self::of(name, P::declared(), Box::new(build))
    }
}

impl<S: Settings + Send + Sync + 'static> Service<S> {
    /// A service whose state is its settings, a type that derives `Settings`.
    pub fn with_settings(name: &str) -> Self {
        Self::of(name, S::declared(), Box::new(Config::settings))
    }
}

impl<S> Service<S> {
    fn of(name: &str, settings: Vec<OwnSetting>, build: Build<S>) -> Self {
        let (name, handlers) = (name.to_owned(), Handlers::default());
        let problems = Vec::new();
        let service =
            Self { name, handlers, last: None, is_surrounded: false, settings: Vec::new(), problems, build };
        settings.into_iter().fold(service, Self::declare)
    }

    /// Declares a setting of the service's own; handlers read it by
    /// [`Ctx::setting`](crate::Ctx::setting).
    pub fn setting(self, key: &'static str, default: &'static str, help: &'static str) -> Self {
        self.declare(OwnSetting::text(key, default, help))
    }

    fn declare(mut self, setting: OwnSetting) -> Self {
        let key = setting.key;
        let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if key.is_empty() || !key.bytes().all(upper) {
            self.problems
                .push(format!("setting({key:?}): a key is made of capital letters, digits and underscores"));
        }
        if self.settings.iter().any(|setting| setting.key == key) {
            self.problems.push(format!("setting({key:?}) is declared twice"));
        }
        self.settings.push(setting);
        self
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings of the service's own.
    pub fn settings(&self) -> &[OwnSetting] {
        &self.settings
    }

    /// All errors of the registration; the process must not start with any.
    pub fn problems(&self, configured: &ServiceName) -> Vec<String> {
        let mut problems = self.problems.clone();
        if self.name != ANY && self.name != configured.as_str() {
            problems.push(format!(
                "this program is the service {:?}, but SERVICE_NAME is {:?}",
                self.name,
                configured.as_str()
            ));
        }
        problems
    }

    /// Gives the service another state than the one that it makes itself: for tests.
    pub(crate) fn with(self, state: S) -> Self
    where
        S: Send + 'static,
    {
        Self { build: Box::new(|_| Ok(state)), ..self }
    }

    /// Makes the state. The error is one line for a person.
    pub fn start(self, config: &Config) -> Result<Started, String>
    where
        S: Send + Sync + 'static,
    {
        let state = State::new((self.build)(config)?);
        Ok(Started { handlers: self.handlers, settings: self.settings.into(), state })
    }
}
