-- Proof of transaction boundaries; see ledger.rs. Runs after the bulk load, so
-- that accounts and log lie at the far end of the file from writer_ledger.

CREATE TABLE writer_account (
  id INTEGER PRIMARY KEY,
  quantity INTEGER NOT NULL,
  filler BLOB NOT NULL
);
CREATE TABLE writer_log (
  seq INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  debit INTEGER NOT NULL,
  credit INTEGER NOT NULL,
  quantity INTEGER NOT NULL
);

CREATE TRIGGER writer_counts_stock_insert AFTER INSERT ON stock_transactions BEGIN
  UPDATE writer_ledger SET stock_rows = stock_rows + 1;
END;
CREATE TRIGGER writer_counts_stock_delete AFTER DELETE ON stock_transactions BEGIN
  UPDATE writer_ledger SET stock_rows = stock_rows - 1;
END;
CREATE TRIGGER writer_counts_attachment_insert AFTER INSERT ON attachments BEGIN
  UPDATE writer_ledger SET attachment_rows = attachment_rows + 1;
END;
CREATE TRIGGER writer_counts_attachment_delete AFTER DELETE ON attachments BEGIN
  UPDATE writer_ledger SET attachment_rows = attachment_rows - 1;
END;
CREATE TRIGGER writer_counts_units_insert AFTER INSERT ON component_locations BEGIN
  UPDATE writer_ledger SET stock_units = stock_units + NEW.quantity_on_hand;
END;
CREATE TRIGGER writer_counts_units_update AFTER UPDATE OF quantity_on_hand ON component_locations BEGIN
  UPDATE writer_ledger SET stock_units = stock_units + NEW.quantity_on_hand - OLD.quantity_on_hand;
END;
CREATE TRIGGER writer_counts_units_delete AFTER DELETE ON component_locations BEGIN
  UPDATE writer_ledger SET stock_units = stock_units - OLD.quantity_on_hand;
END;
