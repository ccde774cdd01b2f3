//! Turns `cargo lab …` into a homeserver to look at, a fault in it, or the whole story played once.
//!
//! It only reads arguments and speaks to the person; what it does is in the library.

#![allow(
    clippy::disallowed_methods,
    reason = "the lab lives in real time and in the user's environment"
)]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, Subcommand};
use kestrel_lab::{Fault, Lab, LabOptions, LogFormat, demo};
use tracing_subscriber::EnvFilter;

/// A real Synapse with a real PostgreSQL, and the faults Kestrel is asked about.
///
/// Everything is installed once into $XDG_CACHE_HOME/kestrel/lab (or ~/.cache/kestrel/lab), and
/// everything that is started stops with this command.
#[derive(Debug, Parser)]
#[command(name = "cargo lab", version)]
struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Start a homeserver and keep it until Ctrl-C.
    Up(Server),
    /// Cause a fault, in the homeserver that `up` or `demo` is running, of several the one begun last, or in one of its own.
    Fault {
        #[arg(value_enum)]
        name: Fault,
        /// End as soon as the fault is there; its clients end with it.
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        server: Server,
    },
    /// The whole story: an ops room, the bot, an eviction storm, a question and its answer.
    Demo {
        /// A Kestrel that is built already, instead of this checkout's.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// End after the answer, and fail when there is none.
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, clap::Args)]
struct Server {
    /// The version of Synapse, as PyPI writes it.
    #[arg(long, value_name = "VERSION", default_value = kestrel_lab::DEFAULT_SYNAPSE)]
    synapse: String,
    /// How Synapse writes its log: text with local time, or JSON.
    #[arg(long, value_enum, default_value = "precise")]
    log_format: LogFormat,
    /// Synapse's time zone, as TZ takes it.
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
}

impl Server {
    fn options(self) -> LabOptions {
        LabOptions {
            synapse_version: self.synapse,
            log_format: self.log_format,
            timezone: self.timezone,
            ..LabOptions::default()
        }
    }
}

#[tokio::main]
async fn main() -> ! {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("off,kestrel_lab=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .with_level(false)
        .init();
    let order = Arguments::parse().order;
    let done = tokio::select! {
        done = carry_out(order) => done,
        // Letting go of the order drops the lab, and that stops all of it.
        () = stopped() => {
            eprintln!("\nstopping");
            Ok(())
        }
    };
    let status = match done {
        Ok(()) => 0,
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("cargo lab: {}", causes.join("\n  because: "));
            1
        }
    };
    // The lab is gone by now. Returning would wait for an installation that is under way.
    std::process::exit(status)
}

async fn carry_out(order: Order) -> Result<()> {
    match order {
        Order::Up(server) => up(server.options()).await,
        Order::Fault { name, once, server } => fault(name, once, server.options()).await,
        Order::Demo { binary, once, server } => demo::play(server.options(), binary, once).await,
    }
}

/// Ctrl-C, or the polite end a supervisor asks for.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut polite) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = polite.recv() => {}
    }
}

async fn up(options: LabOptions) -> Result<()> {
    let began = Instant::now();
    let lab = Lab::start(options).await?;
    let _announced = lab.announce()?;
    let person = lab.register("you").await?;
    println!(
        "Synapse {} is up after {:.1} s.\n\n\
         log in     with any Matrix client at {}\n\
         as         {}   password  {}\n\
         more       register any name; no token or e-mail is asked for\n\
         log        {}\n\
         database   {}\n\
         faults     cargo lab fault evict|two-clients|rollback|silent|exhaust|healthy|cured|\n\
         \x20          dead-identity|undrained|stale\n\n\
         Ctrl-C stops all of it.",
        lab.synapse_version(),
        began.elapsed().as_secs_f32(),
        lab.homeserver(),
        person.user_id,
        person.password,
        lab.log_path().display(),
        lab.database_url(),
    );
    std::future::pending().await
}

async fn fault(fault: Fault, once: bool, options: LabOptions) -> Result<()> {
    let lab = match Lab::attach().await? {
        Some(lab) => lab,
        None => Lab::start(options).await?,
    };
    let began = Instant::now();
    let patient = fault.cause(&lab).await?;
    println!(
        "The fault is there after {:.1} s.\n\n\
         user       {}\n\
         device     {}\n\
         log        {}\n\
         database   {}",
        began.elapsed().as_secs_f32(),
        patient.user,
        patient.device,
        lab.log_path().display(),
        lab.database_url(),
    );
    if once {
        return Ok(());
    }
    println!("\nIts clients keep running; Ctrl-C stops them.");
    std::future::pending().await
}
