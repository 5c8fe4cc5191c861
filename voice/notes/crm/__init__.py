"""Where notes go. A new CRM is one file here: a subclass of base.Crm, which the registry finds by itself."""
