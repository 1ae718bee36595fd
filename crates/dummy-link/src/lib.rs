//! Dummy links and their addresses, over rtnetlink.
