"""What a running stream tells the outside: figures for Prometheus, events for a log, a webhook or an MQTT broker."""
