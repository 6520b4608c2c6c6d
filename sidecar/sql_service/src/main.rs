//! The program of a service without a crate. `SERVICE_NAME` says which service it is; the functions
//! that `tpro.handle` names answer its methods.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tpro_sidecar::run(tpro_sidecar::Service::in_sql())
}
