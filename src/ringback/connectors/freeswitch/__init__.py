"""FreeSWITCH, through its event socket (`mod_event_socket`)."""
