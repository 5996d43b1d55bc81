export interface ModelObject {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
}

export const modelObject = (id: string, created: number, ownedBy = "karat"): ModelObject => ({
  id,
  object: "model",
  created,
  owned_by: ownedBy,
});

export const modelList = (models: readonly ModelObject[]) => ({ object: "list" as const, data: models });
