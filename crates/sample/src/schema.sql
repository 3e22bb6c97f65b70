-- The shape of a PartsHub database at Alembic revision 7cb259170036: the tables
-- that a snapshot, a reference check or a row diff looks at, with the columns,
-- indexes and triggers of the application. Tables that stay empty in ordinary
-- use are left out. Two deliberate differences: the triggers stamp rows with the
-- row's own time instead of the clock (a seed must give the same database on any
-- day), and the writer_* tables of ledger.sql are added.

CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
);

CREATE TABLE users (
  id VARCHAR NOT NULL PRIMARY KEY,
  username VARCHAR(50) NOT NULL,
  full_name VARCHAR(255),
  hashed_password TEXT NOT NULL,
  is_active BOOLEAN NOT NULL,
  is_admin BOOLEAN NOT NULL,
  must_change_password BOOLEAN NOT NULL,
  last_login DATETIME,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
);
CREATE UNIQUE INDEX ix_users_username ON users (username);

CREATE TABLE categories (
  id VARCHAR NOT NULL PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  description TEXT,
  parent_id VARCHAR REFERENCES categories (id),
  sort_order INTEGER NOT NULL,
  color VARCHAR(7),
  icon VARCHAR(50),
  created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  updated_at DATETIME DEFAULT (CURRENT_TIMESTAMP)
);
CREATE INDEX ix_categories_name ON categories (name);

CREATE TABLE tags (
  id VARCHAR NOT NULL PRIMARY KEY,
  name VARCHAR(50) NOT NULL,
  description TEXT,
  color VARCHAR(7),
  is_system_tag VARCHAR NOT NULL,
  created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  updated_at DATETIME DEFAULT (CURRENT_TIMESTAMP)
);
CREATE UNIQUE INDEX ix_tags_name ON tags (name);

CREATE TABLE storage_locations (
  id VARCHAR NOT NULL PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  description TEXT,
  type VARCHAR(20) NOT NULL
    CHECK (type IN ('container', 'room', 'building', 'cabinet', 'drawer', 'shelf', 'bin', 'bag')),
  parent_id VARCHAR REFERENCES storage_locations (id),
  location_hierarchy VARCHAR(500) NOT NULL,
  qr_code_id VARCHAR(50),
  location_code VARCHAR(20),
  created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  updated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  layout_config JSON,
  last_used_at DATETIME
);
CREATE UNIQUE INDEX ix_storage_locations_qr_code_id ON storage_locations (qr_code_id);
CREATE INDEX ix_storage_locations_name ON storage_locations (name);

CREATE TABLE components (
  id VARCHAR NOT NULL PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  local_part_id VARCHAR(50),
  barcode_id VARCHAR(50),
  manufacturer_part_number VARCHAR(100),
  provider_sku VARCHAR(100),
  part_number VARCHAR(100),
  manufacturer VARCHAR(100),
  category_id VARCHAR REFERENCES categories (id),
  component_type VARCHAR(50),
  value VARCHAR(50),
  package VARCHAR(50),
  average_purchase_price NUMERIC(10, 4),
  total_purchase_value NUMERIC(12, 2),
  notes TEXT,
  specifications JSON,
  custom_fields JSON,
  provider_data JSON,
  created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  updated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  version INTEGER DEFAULT '1' NOT NULL
);
CREATE UNIQUE INDEX ix_components_barcode_id ON components (barcode_id);
CREATE UNIQUE INDEX ix_components_local_part_id ON components (local_part_id);
CREATE UNIQUE INDEX ix_components_part_number ON components (part_number);
CREATE INDEX ix_components_manufacturer_part_number ON components (manufacturer_part_number);
CREATE INDEX ix_components_name ON components (name);
CREATE INDEX idx_components_category_id ON components (category_id);
CREATE INDEX idx_components_type_manufacturer ON components (component_type, manufacturer);
CREATE INDEX idx_components_search_text ON components (name, part_number, manufacturer, notes);

CREATE TABLE component_tags (
  component_id VARCHAR NOT NULL REFERENCES components (id),
  tag_id VARCHAR NOT NULL REFERENCES tags (id),
  created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  PRIMARY KEY (component_id, tag_id)
);

CREATE TABLE component_locations (
  id VARCHAR NOT NULL PRIMARY KEY,
  component_id VARCHAR NOT NULL REFERENCES components (id),
  storage_location_id VARCHAR NOT NULL REFERENCES storage_locations (id),
  quantity_on_hand INTEGER NOT NULL,
  quantity_ordered INTEGER NOT NULL,
  minimum_stock INTEGER NOT NULL,
  location_notes TEXT,
  unit_cost_at_location NUMERIC(10, 4),
  created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  updated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  reorder_threshold INTEGER DEFAULT '0' NOT NULL,
  reorder_enabled BOOLEAN DEFAULT '0' NOT NULL,
  CONSTRAINT uq_component_location UNIQUE (component_id, storage_location_id)
);
CREATE INDEX ix_component_locations_storage_location_id ON component_locations (storage_location_id);
CREATE INDEX idx_component_locations_component_quantity
  ON component_locations (component_id, quantity_on_hand);
CREATE INDEX idx_component_locations_reorder
  ON component_locations (reorder_enabled, quantity_on_hand, reorder_threshold)
  WHERE reorder_enabled = 1;

CREATE TABLE stock_transactions (
  id VARCHAR NOT NULL PRIMARY KEY,
  component_id VARCHAR NOT NULL REFERENCES components (id),
  transaction_type VARCHAR(6) NOT NULL,
  quantity_change INTEGER NOT NULL,
  previous_quantity INTEGER NOT NULL,
  new_quantity INTEGER NOT NULL,
  reason TEXT NOT NULL,
  reference_id VARCHAR,
  reference_type VARCHAR(50),
  from_location_id VARCHAR REFERENCES storage_locations (id),
  to_location_id VARCHAR REFERENCES storage_locations (id),
  user_id VARCHAR,
  user_name VARCHAR(100),
  batch_id VARCHAR,
  notes TEXT,
  created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  lot_id VARCHAR(100),
  price_per_unit NUMERIC(10, 4),
  total_price NUMERIC(10, 4)
);
CREATE INDEX idx_stock_transactions_component_id ON stock_transactions (component_id);
CREATE INDEX idx_stock_transactions_created_at ON stock_transactions (created_at);
CREATE INDEX idx_stock_transactions_transaction_type ON stock_transactions (transaction_type);
CREATE INDEX idx_stock_transactions_from ON stock_transactions (from_location_id);
CREATE INDEX idx_stock_transactions_to ON stock_transactions (to_location_id);

CREATE TABLE attachments (
  id VARCHAR NOT NULL PRIMARY KEY,
  component_id VARCHAR NOT NULL REFERENCES components (id),
  filename VARCHAR(255) NOT NULL,
  original_filename VARCHAR(255) NOT NULL,
  file_size INTEGER NOT NULL,
  mime_type VARCHAR(100) NOT NULL,
  file_path VARCHAR(500) NOT NULL,
  title VARCHAR(200),
  description TEXT,
  attachment_type VARCHAR(50),
  is_primary_image BOOLEAN NOT NULL,
  thumbnail_path VARCHAR(500),
  display_order INTEGER NOT NULL,
  created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
  updated_at DATETIME DEFAULT (CURRENT_TIMESTAMP)
);
CREATE INDEX idx_attachments_component_id ON attachments (component_id);
CREATE INDEX idx_attachments_attachment_type ON attachments (attachment_type);

CREATE TABLE reorder_alerts (
  id INTEGER NOT NULL PRIMARY KEY,
  component_location_id INTEGER NOT NULL REFERENCES component_locations (id) ON DELETE CASCADE,
  component_id VARCHAR NOT NULL REFERENCES components (id) ON DELETE CASCADE,
  storage_location_id VARCHAR NOT NULL REFERENCES storage_locations (id) ON DELETE CASCADE,
  status VARCHAR DEFAULT 'active' NOT NULL
    CHECK (status IN ('active', 'dismissed', 'ordered', 'resolved')),
  current_quantity INTEGER NOT NULL,
  reorder_threshold INTEGER NOT NULL,
  shortage_amount INTEGER NOT NULL,
  created_at VARCHAR NOT NULL,
  updated_at VARCHAR NOT NULL,
  dismissed_at VARCHAR,
  ordered_at VARCHAR,
  resolved_at VARCHAR,
  notes VARCHAR
);
CREATE INDEX idx_reorder_alerts_status ON reorder_alerts (status, created_at DESC);
CREATE UNIQUE INDEX idx_reorder_alerts_unique_active
  ON reorder_alerts (component_location_id) WHERE status = 'active';

CREATE TRIGGER trigger_check_low_stock_after_update
AFTER UPDATE OF quantity_on_hand ON component_locations
WHEN NEW.reorder_enabled = 1 AND NEW.quantity_on_hand < NEW.reorder_threshold
  AND NOT EXISTS (SELECT 1 FROM reorder_alerts
                  WHERE component_location_id = NEW.id AND status = 'active')
BEGIN
  INSERT INTO reorder_alerts (component_location_id, component_id, storage_location_id, status,
    current_quantity, reorder_threshold, shortage_amount, created_at, updated_at)
  VALUES (NEW.id, NEW.component_id, NEW.storage_location_id, 'active', NEW.quantity_on_hand,
    NEW.reorder_threshold, NEW.reorder_threshold - NEW.quantity_on_hand, NEW.updated_at, NEW.updated_at);
END;

CREATE TRIGGER trigger_update_low_stock_after_update
AFTER UPDATE OF quantity_on_hand ON component_locations
WHEN NEW.reorder_enabled = 1 AND NEW.quantity_on_hand < NEW.reorder_threshold
BEGIN
  UPDATE reorder_alerts
  SET current_quantity = NEW.quantity_on_hand,
      shortage_amount = NEW.reorder_threshold - NEW.quantity_on_hand, updated_at = NEW.updated_at
  WHERE component_location_id = NEW.id AND status = 'active';
END;

CREATE TRIGGER trigger_resolve_alert_after_update
AFTER UPDATE OF quantity_on_hand ON component_locations
WHEN NEW.quantity_on_hand >= NEW.reorder_threshold AND OLD.quantity_on_hand < OLD.reorder_threshold
BEGIN
  UPDATE reorder_alerts
  SET status = 'resolved', resolved_at = NEW.updated_at, updated_at = NEW.updated_at
  WHERE component_location_id = NEW.id AND status IN ('active', 'ordered');
END;

CREATE TRIGGER trigger_check_low_stock_after_insert
AFTER INSERT ON component_locations
WHEN NEW.reorder_enabled = 1 AND NEW.quantity_on_hand < NEW.reorder_threshold
BEGIN
  INSERT INTO reorder_alerts (component_location_id, component_id, storage_location_id, status,
    current_quantity, reorder_threshold, shortage_amount, created_at, updated_at)
  VALUES (NEW.id, NEW.component_id, NEW.storage_location_id, 'active', NEW.quantity_on_hand,
    NEW.reorder_threshold, NEW.reorder_threshold - NEW.quantity_on_hand, NEW.updated_at, NEW.updated_at);
END;

CREATE TRIGGER trigger_check_low_stock_after_threshold_update
AFTER UPDATE OF reorder_threshold, reorder_enabled ON component_locations
WHEN NEW.reorder_enabled = 1 AND NEW.quantity_on_hand < NEW.reorder_threshold
  AND NOT EXISTS (SELECT 1 FROM reorder_alerts
                  WHERE component_location_id = NEW.id AND status = 'active')
BEGIN
  INSERT INTO reorder_alerts (component_location_id, component_id, storage_location_id, status,
    current_quantity, reorder_threshold, shortage_amount, created_at, updated_at)
  VALUES (NEW.id, NEW.component_id, NEW.storage_location_id, 'active', NEW.quantity_on_hand,
    NEW.reorder_threshold, NEW.reorder_threshold - NEW.quantity_on_hand, NEW.updated_at, NEW.updated_at);
END;

CREATE VIRTUAL TABLE components_fts USING fts5 (
  id UNINDEXED, name, part_number, manufacturer, component_type, value, package, notes,
  specifications_text, tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER components_ai AFTER INSERT ON components BEGIN
  INSERT INTO components_fts (id, name, part_number, manufacturer, component_type, value, package,
    notes, specifications_text)
  VALUES (new.id, new.name, new.part_number, new.manufacturer, new.component_type, new.value,
    new.package, new.notes, REPLACE(REPLACE(COALESCE(new.specifications, '{}'), '"', ''), ',', ' '));
END;

CREATE TRIGGER components_ad AFTER DELETE ON components BEGIN
  DELETE FROM components_fts WHERE id = old.id;
END;

CREATE TRIGGER components_au AFTER UPDATE ON components BEGIN
  DELETE FROM components_fts WHERE id = old.id;
  INSERT INTO components_fts (id, name, part_number, manufacturer, component_type, value, package,
    notes, specifications_text)
  VALUES (new.id, new.name, new.part_number, new.manufacturer, new.component_type, new.value,
    new.package, new.notes, REPLACE(REPLACE(COALESCE(new.specifications, '{}'), '"', ''), ',', ' '));
END;
