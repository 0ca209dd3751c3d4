//! Publisher, subscriber and admin against a broker, and their errors against librdkafka's mock cluster.

mod admin;
mod faults;
mod harness;
mod publisher;
mod subscriber;
